package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tlsratchet/internal/outbound"
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
	deliveries, lookups, readers standings
	lines                        int
}

// sender is a Postfix that sends to one receiver, and a second with our table.
type sender struct {
	alone, ours *posttest.Instance
	sink        *posttest.Sink
	contest     contest
	close       []func() error
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
		if r.sending.deliveries, err = s.deliver(ctx, r.options); err != nil {
			return err
		}
		if r.sending.lookups, err = s.lookUp(ctx, r.rounds); err != nil {
			return err
		}
		r.sending.readers, err = r.readSent(ctx, filepath.Join(dir, "sent.log"), r.sending.lines)
		return err
	})
}

// start starts the receiver, both instances, and a tlsratchet for the second.
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
	if s.alone, err = s.instance(ctx, filepath.Join(dir, "alone"), dns.Addr(), "smtp_tls_policy_maps ="); err != nil {
		return err
	}
	if s.ours, err = s.instance(ctx, filepath.Join(dir, "with"), dns.Addr()); err != nil {
		return err
	}
	history := filepath.Join(dir, "sending.db")
	if err := teachDestinations(history, time.Now()); err != nil {
		return err
	}
	serve := func(ctx context.Context, dir string, _ []client) (*process, error) {
		return startServe(ctx, o.binary, dir, history, `outbound.action = "hold"`,
			fmt.Sprintf("outbound.listen = [%q]", "unix:"+s.ours.PolicySocket()), fmt.Sprintf("outbound.log = %q", s.ours.Maillog()),
			fmt.Sprintf("outbound.postfix = [%q]", filepath.Join(s.ours.Dir(), "etc")))
	}
	s.contest = contest{{name: nameNoTable}, {name: nameTable, start: serve}}
	for i, in := range []*posttest.Instance{s.alone, s.ours} {
		if s.contest[i].master, err = in.Master(); err != nil {
			return err
		}
	}
	return s.contest.begin(ctx, dir, nil)
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

// deliver has both send by turns.
func (s *sender) deliver(ctx context.Context, o *options) (standings, error) {
	l := load.SMTP{
		Shape:   load.Shape{Sessions: o.sessions, Length: 1, Messages: max(o.mails/recipients, o.sessions)},
		Sources: []string{"127.0.0.1"},
		Mail:    posttest.Mail{From: "ann@ours.example", Header: []string{"Subject: bench"}, Body: "hello\r\n"},
		To: func(session int) (to []string) {
			for n := range recipients {
				to = append(to, "bob@"+destination(recipients*session+n))
			}
			return to
		},
	}
	return s.contest.rounds(ctx, 2*o.shortRounds(), func(ctx context.Context, i int) (measure.Run, error) {
		l.Server = []*posttest.Instance{s.alone, s.ours}[i].Addr(0)
		began, before := time.Now(), s.sink.Count()
		given, err := l.Run(ctx)
		if err != nil {
			return given, err
		}
		sent := len(given.Waits) * recipients
		err = s.received(ctx, before+sent)
		return measure.Run{Took: time.Since(began), Waits: make([]time.Duration, sent)}, err
	})
}

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
		cmd := exec.CommandContext(ctx, "postmap", "-c", filepath.Join(s.ours.Dir(), "etc"), "-q", "-",
			"memcache:"+filepath.Join(s.ours.Dir(), "etc/tlsratchet-policy.cf"))
		cmd.Dir = filepath.Dir(filepath.Dir(s.ours.PolicySocket())) // smtp(8) works there
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

// readSent has the follower and replay read the same log by turns.
func (r *report) readSent(ctx context.Context, file string, lines int) (standings, error) {
	config := filepath.Join(filepath.Dir(file), "replay.toml")
	if err := errors.Join(writeFile(config, ""), writeSent(file, lines/sentLines)); err != nil {
		return nil, err
	}
	replay := logReader{name: nameReplay, argv: []string{r.binary, "replay", "--config", config, "--json", file}, lines: lines}
	all := standings{{name: nameFollower}, {name: nameReplay}}
	for range r.rounds {
		f, err := follow(ctx, file, lines/sentLines*sentLines)
		if err != nil {
			return nil, err
		}
		all[0].Series = append(all[0].Series, f)
		if f, _, err = replay.read(ctx); err != nil {
			return nil, err
		}
		all[1].Series = append(all[1].Series, f)
	}
	return all, nil
}

// writeSent writes the log of so many deliveries.
func writeSent(file string, deliveries int) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(f)
	at := time.Now().Add(-time.Duration(deliveries) * time.Millisecond)
	for n := range deliveries {
		head := at.Add(time.Duration(n)*time.Millisecond).Format(time.Stamp) + fmt.Sprintf(" mx postfix/smtp[%d]: ", 1000+n%20)
		id := int64(1)<<40 + int64(n)
		fmt.Fprintf(b, "%sUntrusted TLS connection established to %s[192.0.2.1]:25: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n", head, receiver)
		fmt.Fprintf(b, "%s%X: to=<bob@%s>, relay=%s[192.0.2.1]:25, delay=0.2, delays=0.1/0/0.1/0, dsn=2.0.0, status=sent (250 2.0.0 ok)\n", head, id, destination(n), receiver)
		fmt.Fprintf(b, "%s%X: removed\n", strings.Replace(head, "smtp[", "qmgr[9", 1), id)
	}
	return errors.Join(b.Flush(), f.Close())
}

// follow has a follower of our own read a log of so many lines, and learn from it.
func follow(ctx context.Context, file string, lines int) (f measure.Figures, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return f, err
	}
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		return f, err
	}
	quiet := slog.New(slog.DiscardHandler)
	out := outbound.New(outbound.Options{
		Histories: store.NewMemory(10_000), Settings: outbound.Settings{Rules: rules, Least: tlsstate.TLS12}, Now: time.Now, Log: quiet,
	})
	follower := &outbound.Follower{Source: file, Sink: out, Wanted: func() bool { return true }, Now: time.Now, Log: quiet}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	began := time.Now()
	done := make(chan struct{})
	follower.Begin(outbound.Cursor{Inode: info.Sys().(*syscall.Stat_t).Ino}, false)
	go func() {
		defer close(done)
		follower.Run(ctx, false)
	}()
	for follower.Stats().Lines < uint64(lines) && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	f.Rate = float64(lines) / time.Since(began).Seconds()
	err = ctx.Err()
	stop()
	<-done
	return f, err
}
