package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tlsratchet/test/bench/load"
	"tlsratchet/test/bench/measure"
	"tlsratchet/test/posttest"
)

const (
	// mailsASession is how many messages a SMTP session has.
	mailsASession = 5
	// sources is how many addresses of loopback the SMTP clients have.
	sources = 256
)

// mailServer is a Postfix with a listener for each contestant and one without
// a milter, all else the same.
type mailServer struct {
	*posttest.Instance
	contest *contest
}

// newMailServer starts it in dir, which should be in memory: a disk would hide
// what milters cost. Close it in any case.
func newMailServer(ctx context.Context, o *options, dir string) (*mailServer, error) {
	s := &mailServer{contest: &contest{}}
	sockets := []string{"", filepath.Join("ours", serveSocket)} // in the contest's order
	if o.against != "" {
		sockets = append(sockets, filepath.Join("other", serveSocket))
	}
	sockets = append(sockets, "go.sock")
	if o.c != "" {
		sockets = append(sockets, "c-mail.sock", "c-all.sock")
	}
	var err error
	if s.Instance, err = posttest.New(filepath.Join(dir, "postfix"), mailOptions(dir, sockets)); err != nil {
		return s, err
	}
	_, port, err := net.SplitHostPort(s.Addr(1))
	if err != nil {
		return s, err
	}
	if s.contest, err = newContest(ctx, o, dir, local(sources, port)); err != nil {
		return s, err
	}
	s.contest.all = append([]*contestant{{name: nameNone}}, s.contest.all...)
	policy, err := startIdlePolicy(ctx, dir)
	if err != nil {
		return s, err
	}
	s.contest.all = append(s.contest.all, &contestant{name: nameIdlePolicy, milter: policy},
		&contestant{name: nameOursPolicy, milter: s.contest.find(nameOurs).milter, borrowed: true})
	if err := s.Start(ctx); err != nil {
		return s, err
	}
	master, err := s.Master()
	s.contest.server = func() time.Duration { return treeCPU(master) }
	return s, err
}

func mailOptions(dir string, sockets []string) posttest.Options {
	o := posttest.Options{Main: []string{
		"virtual_transport = discard:",
		"in_flow_delay = 0",                // would sleep where the queue grows
		"max_use = 1000000",                // a new process in the middle of a turn would be in its figures
		"milter_default_action = tempfail", // a milter that fails must be seen
	}}
	for _, socket := range sockets {
		milters := "smtpd_milters="
		if socket != "" {
			milters += "unix:" + filepath.Join(dir, socket)
		}
		o.Listeners = append(o.Listeners, posttest.Listener{Options: []string{milters}})
	}
	for _, socket := range []string{policySocket, filepath.Join("ours", policySocket)} {
		o.Listeners = append(o.Listeners, posttest.Listener{Options: []string{"smtpd_milters=",
			"smtpd_recipient_restrictions=reject_unauth_destination,check_policy_service,unix:" + filepath.Join(dir, socket)}})
	}
	return o
}

func (s *mailServer) close() error {
	err := s.contest.close()
	if s.Instance != nil {
		err = errors.Join(s.Close(), err)
	}
	return err
}

// mailSizes are the sizes of messages in KB: a note, and an ordinary mail with
// its HTML part or a small attachment.
var mailSizes = []int{4, 64}

// measure has the contestants take turns with mail of the given size in KB.
// Each turn begins with an empty queue.
func (s *mailServer) measure(ctx context.Context, o *options, kilobytes int) (standings, error) {
	var from []string
	for _, c := range local(sources, "") {
		from = append(from, c.Addr)
	}
	config := s.ClientTLS()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	l := load.SMTP{
		Shape:   load.Shape{Sessions: o.sessions, Length: mailsASession, Messages: o.mails},
		Sources: from, TLS: config, Mail: smtpMail(kilobytes),
	}
	return s.contest.rounds(ctx, o.shortRounds(), func(ctx context.Context, i int) (measure.Run, error) {
		l.Server = s.Addr(i)
		r, err := l.Run(ctx)
		return r, errors.Join(err, s.drained(ctx)) // what is delivered later is this one's too
	})
}

// drained waits until the queue is empty.
func (s *mailServer) drained(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		left, err := s.Queue(ctx)
		if err != nil {
			return fmt.Errorf("waiting for an empty queue: %w", err)
		}
		if len(left) == 0 {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// smtpMail is the message that mail is, for SMTP, with a body of so many KB.
func smtpMail(kilobytes int) posttest.Mail {
	m := mail(local(1, daemonPort)[0])
	body := strings.ReplaceAll(string(m.Body), "\r\n", "\n")
	out := posttest.Mail{From: m.From, To: m.Rcpts, Body: strings.Repeat(body, kilobytes/4)}
	for _, h := range m.Headers {
		out.Header = append(out.Header, h[0]+": "+h[1])
	}
	return out
}

// memoryDir is where files are kept in memory, or else the usual directory.
func memoryDir() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return os.TempDir()
}
