package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
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

// mailServers are the contestants, each behind a listener of the same Postfix.
type mailServers struct {
	contest
	postfix *posttest.Instance
}

// mailContest are the contestants of mail through Postfix, not started. Two of
// them are there twice: they must come out alike.
func (o *options) mailContest() contest {
	all := append(contest{{name: nameNone}}, o.milters()...)
	all = append(all, &contestant{name: nameIdlePolicy, policy: true, start: startIdlePolicy},
		&contestant{name: nameOursPolicy, policy: true, start: taught(o.binary, true)},
		&contestant{name: nameNone + again})
	if o.c != "" {
		all = append(all, &contestant{name: nameC + again, ends: 'M', start: o.startC("mail")})
	}
	return all
}

// newMailServers starts them in dir, which should be in memory: a disk would hide
// what milters cost. Close it in any case.
func newMailServers(ctx context.Context, o *options, dir string) (*mailServers, error) {
	s := &mailServers{contest: o.mailContest()}
	options := posttest.Options{Main: []string{
		"virtual_transport = discard:",
		"in_flow_delay = 0", // would sleep where the queue grows
		"max_use = 1000000", // a new process in the middle of a turn would be in its figures
		"max_idle = 1h",
		"milter_default_action = tempfail", // a milter that fails must be seen
	}}
	for i, one := range s.contest {
		options.Listeners = append(options.Listeners, posttest.Listener{Options: []string{one.asked(placeOf(dir, i))}})
	}
	in, err := posttest.New(filepath.Join(dir, "postfix"), options)
	if err != nil {
		return s, err
	}
	s.postfix = in
	for i, one := range s.contest {
		_, port, err := net.SplitHostPort(in.Addr(i))
		if err == nil {
			err = one.begin(ctx, placeOf(dir, i), local(sources, port))
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", one.name, err)
		}
	}
	if err := in.Start(ctx); err != nil {
		return s, err
	}
	master, err := in.Master()
	for _, one := range s.contest {
		one.master = master
	}
	return s, err
}

// placeOf is a contestant's folder.
func placeOf(dir string, i int) string { return filepath.Join(dir, strconv.Itoa(i)) }

// asked is the setting of a listener that has Postfix ask a contestant.
func (c *contestant) asked(dir string) string {
	switch {
	case c.policy:
		return "smtpd_recipient_restrictions=reject_unauth_destination,check_policy_service,unix:" + filepath.Join(dir, policySocket)
	case c.start != nil:
		return "smtpd_milters=unix:" + filepath.Join(dir, serveSocket)
	}
	return "smtpd_milters="
}

func (s *mailServers) close() error {
	err := s.contest.close()
	if s.postfix != nil {
		err = errors.Join(s.postfix.Close(), err)
	}
	return err
}

// mailSizes are the sizes of messages in KB: a note, and an ordinary mail with
// its HTML part or a small attachment.
var mailSizes = []int{4, 64}

// measure has the contestants take mail of the given size in KB: many sessions a turn
// for the rates, and for what a message costs few; of small mail many, too, for a busy
// server's work for a message is not a quiet one's.
func (s *mailServers) measure(ctx context.Context, o *options, kilobytes int) (m mailing, err error) {
	m.kilobytes = kilobytes
	if m.standings, err = s.rounds(ctx, 2*o.rounds, s.load(o.sessions, o.mails, kilobytes)); err != nil {
		return m, err
	}
	atOnce := []int{costSessions}
	if kilobytes == mailSizes[0] {
		atOnce = append(atOnce, o.sessions)
	}
	for _, n := range atOnce {
		all, err := s.costs(ctx, 2*o.shortRounds(), costTurns, s.load(n, n*mailsASession, kilobytes))
		if err != nil {
			return m, err
		}
		m.costs = append(m.costs, costing{n, all})
	}
	return m, nil
}

// The cost of a message is measured in so many turns a round, of so many sessions at
// once at the least: so short that some are undisturbed on most machines.
const (
	costTurns    = 12
	costSessions = 2
)

// load returns what runs a load at the contestant with that number, until its queue
// is empty: what is delivered later is this one's too.
func (s *mailServers) load(sessions, messages, kilobytes int) func(context.Context, int) (measure.Run, error) {
	var from []string
	for _, c := range local(sources, "") {
		from = append(from, c.Addr)
	}
	var all []load.SMTP
	for i := range s.contest {
		config := s.postfix.ClientTLS()
		config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
		all = append(all, load.SMTP{
			Shape:  load.Shape{Sessions: sessions, Length: mailsASession, Messages: messages},
			Server: s.postfix.Addr(i), Sources: from, TLS: config, Mail: smtpMail(kilobytes),
		})
	}
	return func(ctx context.Context, i int) (measure.Run, error) {
		r, err := all[i].Run(ctx)
		return r, errors.Join(err, drained(ctx, s.postfix))
	}
}

// drained waits until the queue is empty. Its files are looked at, for Postfix's
// own listing costs Postfix time.
func drained(ctx context.Context, in *posttest.Instance) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		left := 0
		for _, queue := range []string{"incoming", "active"} { // in the order of a message's way
			files, err := os.ReadDir(filepath.Join(in.Dir(), "spool", queue))
			if err != nil {
				return fmt.Errorf("waiting for an empty queue: %w", err)
			}
			left += len(files)
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for an empty queue: %w", ctx.Err())
		case <-time.After(time.Millisecond):
		}
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
