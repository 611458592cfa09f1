package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tlsratchet/test/bench/load"
	"tlsratchet/test/bench/measure"
	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// The contestants of the sending side.
const (
	nameNoTable  = "no table"
	nameTable    = "tlsratchet's table"
	namePostmap  = "postmap -q -"
	nameFollower = "the follower"
)

const (
	// destinations is how many domains mail is sent to; all are pinned.
	destinations = 200
	// recipients is how many a message has, each at a destination of its own.
	recipients = 5
	// lookupsEach is how often postmap asks for each destination.
	lookupsEach = 100
	// sentLines is how many lines the log has for each delivery.
	sentLines = 3
	receiver  = "mx.bench.test"
)

func destination(n int) string { return fmt.Sprintf("d%d.bench.test", n%destinations) }

// sending is the sending side, measured.
type sending struct {
	deliveries, costs, lookups, readers standings
	lines                               int
}

// sender is a Postfix without our table and one with it, which send to one receiver;
// a third has the table of another tlsratchet.
type sender struct {
	postfix []*posttest.Instance // those of the contest
	sink    *posttest.Sink
	contest contest
	close   []func() error
}

func (r *report) measureSending(ctx context.Context, _ io.Writer) error {
	r.sending = &sending{lines: max(r.lines/10, sentLines)}
	return inFolder(memoryDir(), func(dir string) (err error) {
		s := &sender{}
		defer func() {
			err = errors.Join(err, s.contest.close())
			for _, end := range s.close {
				err = errors.Join(err, end())
			}
		}()
		if err := s.start(ctx, r.options, dir); err != nil {
			return err
		}
		if r.sending.deliveries, err = s.contest.rounds(ctx, r.shortRounds(), s.deliver(r.sessions, max(r.mails/recipients, r.sessions))); err != nil {
			return err
		}
		if r.sending.costs, err = s.cost(ctx, r.options); err != nil {
			return err
		}
		if r.sending.lookups, err = s.lookUp(ctx, r.rounds); err != nil {
			return err
		}
		r.sending.readers, err = r.readSent(ctx, filepath.Join(dir, "sent.log"), r.sending.lines)
		return err
	})
}

// start starts the receiver, and each contestant with a Postfix of its own.
func (s *sender) start(ctx context.Context, o *options, dir string) error {
	ca, err := posttest.NewCA("receiver")
	if err != nil {
		return err
	}
	addr := posttest.Loopback()
	if s.sink, err = posttest.NewSink(net.JoinHostPort(addr, "25"), receiver, ca); err != nil {
		return err
	}
	s.close = append(s.close, s.sink.Close)
	mx := make(map[string][]string)
	for n := range destinations {
		mx[destination(n)] = []string{receiver}
	}
	dns, err := posttest.NewDNS(mx, map[string]string{receiver: addr})
	if err != nil {
		return err
	}
	s.close = append(s.close, dns.Close)
	all := [][2]string{{nameNoTable, ""}, {nameTable, o.binary}}
	if o.against != "" {
		all = append(all, [2]string{nameOther, o.against})
	}
	for i, one := range all {
		if err := s.add(ctx, one[0], one[1], filepath.Join(dir, "postfix"+strconv.Itoa(i)), dns.Addr()); err != nil {
			return err
		}
	}
	return s.contest.begin(ctx, dir, nil)
}

// add starts a Postfix that asks the binary, or none.
func (s *sender) add(ctx context.Context, name, binary, dir, resolver string) error {
	one := &contestant{name: name}
	var main []string
	if binary == "" {
		main = []string{"smtp_tls_policy_maps ="}
	}
	in, err := s.instance(ctx, dir, resolver, main...)
	if err != nil {
		return err
	}
	if binary != "" {
		one.start = func(ctx context.Context, dir string, _ []client) (*process, error) {
			history := filepath.Join(dir, "sending.db")
			if err := teachDestinations(history, time.Now()); err != nil {
				return nil, err
			}
			return startServe(ctx, binary, dir, history, `outbound.action = "hold"`,
				fmt.Sprintf("outbound.listen = [%q]", "unix:"+in.PolicySocket()), fmt.Sprintf("outbound.log = %q", in.Maillog()),
				fmt.Sprintf("outbound.postfix = [%q]", filepath.Join(in.Dir(), "etc")))
		}
	}
	one.master, err = in.Master()
	s.postfix, s.contest = append(s.postfix, in), append(s.contest, one)
	return err
}

func (s *sender) instance(ctx context.Context, dir, resolver string, main ...string) (*posttest.Instance, error) {
	in, err := posttest.New(dir, posttest.Options{
		Parts: []string{"main.cf.tls", "main.cf.outbound"}, Networks: []string{"127.0.0.0/8"}, Resolver: resolver,
		Main: append([]string{"inet_protocols = ipv4", "in_flow_delay = 0", "default_process_limit = 20", "max_use = 1000000", "max_idle = 1h"}, main...),
	})
	if err != nil {
		return nil, err
	}
	s.close = append(s.close, in.Close)
	return in, in.Start(ctx)
}

// teachDestinations makes a history in which all destinations are pinned.
func teachDestinations(file string, now time.Time) error {
	memory, err := store.Open(file, store.Options{})
	if err != nil {
		return err
	}
	rule, today := tlsstate.DefaultPolicy(), tlsstate.DayOf(now)
	for n := range destinations {
		id := tlsstate.Identity{Kind: tlsstate.Destination, Name: destination(n)}
		_, failed := memory.Update(id, netip.Addr{}, today, func(h tlsstate.History) tlsstate.History {
			for ago := steadyDays - 1; ago >= 0; ago-- {
				o := tlsstate.Observation{Day: today - tlsstate.Day(ago), Security: tlsstate.Security{Level: tlsstate.TLS13}}
				_, h = tlsstate.Judge(h, o, &rule)
			}
			return h
		})
		err = errors.Join(err, failed)
	}
	return errors.Join(err, memory.Close())
}

// deliver returns what has a contestant send so many messages.
func (s *sender) deliver(sessions, messages int) func(context.Context, int) (measure.Run, error) {
	l := load.SMTP{
		Shape:   load.Shape{Sessions: sessions, Length: 1, Messages: messages},
		Sources: []string{"127.0.0.1"},
		Mail:    posttest.Mail{From: "ann@ours.example", Header: []string{"Subject: bench"}, Body: "hello\r\n"},
		To: func(session int) (to []string) {
			for n := range recipients {
				to = append(to, "bob@"+destination(recipients*session+n))
			}
			return to
		},
	}
	return func(ctx context.Context, i int) (measure.Run, error) {
		l := l
		l.Server = s.postfix[i].Addr(0)
		began, before := time.Now(), s.sink.Count()
		given, err := l.Run(ctx)
		if err != nil {
			return given, err
		}
		sent := len(given.Waits) * recipients
		err = s.received(ctx, before+sent)
		return measure.Run{Took: time.Since(began), Waits: make([]time.Duration, sent)}, err
	}
}

// cost measures what a delivery costs, by short turns. The log is read later than it is
// written: what ours works between its turns is added to each of its deliveries.
func (s *sender) cost(ctx context.Context, o *options) (standings, error) {
	deliver := s.deliver(costSessions, costMessages)
	later := make([]measure.Run, len(s.contest))
	ended := make([]time.Duration, len(s.contest))
	all, err := s.contest.costs(ctx, 3*o.rounds, costTurns, func(ctx context.Context, i int) (measure.Run, error) {
		p := s.contest[i].process
		if ended[i] > 0 {
			later[i].System += p.cpu() - ended[i]
		}
		r, err := deliver(ctx, i)
		err = errors.Join(err, drained(ctx, s.postfix[i]))
		later[i].Waits, ended[i] = append(later[i].Waits, r.Waits...), p.cpu()
		return r, err
	})
	for i, one := range all {
		for n := range one.Series {
			one.Series[n].System += later[i].Figures().System
		}
	}
	return all, err
}

// costMessages is how many messages a turn has that is measured for its cost.
const costMessages = 4

// received waits until the receiver has so many.
func (s *sender) received(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for s.sink.Count() < want {
		if ctx.Err() != nil {
			return fmt.Errorf("%d of %d deliveries: %w", s.sink.Count(), want, ctx.Err())
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

// lookUp has Postfix's own client ask for all destinations, and for as many
// strangers.
func (s *sender) lookUp(ctx context.Context, rounds int) (standings, error) {
	var keys strings.Builder
	for range lookupsEach {
		for n := range destinations {
			fmt.Fprintf(&keys, "%s\nnot-%s\n", destination(n), destination(n))
		}
	}
	all := entry{name: namePostmap}
	for range rounds {
		cmd := exec.CommandContext(ctx, "postmap", "-c", filepath.Join(s.postfix[1].Dir(), "etc"), "-q", "-",
			"memcache:"+filepath.Join(s.postfix[1].Dir(), "etc/tlsratchet-policy.cf"))
		cmd.Dir = filepath.Dir(filepath.Dir(s.postfix[1].PolicySocket())) // smtp(8) works there
		cmd.Stdin = strings.NewReader(keys.String())
		began := time.Now()
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("postmap: %w", err)
		}
		const count = destinations * lookupsEach
		if found := strings.Count(string(out), "\tencrypt\n"); found != count {
			return nil, fmt.Errorf("postmap found %d of %d", found, count)
		}
		all.Series = append(all.Series, measure.Figures{Rate: 2 * count / time.Since(began).Seconds()})
	}
	return standings{all}, nil
}
