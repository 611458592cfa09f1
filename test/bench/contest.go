package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"tlsratchet/test/bench/load"
	"tlsratchet/test/bench/measure"
	"tlsratchet/test/mtatest"
)

// The names of the contestants, as the tables have them.
const (
	nameOurs  = "tlsratchet, whole work done"
	nameOther = "the tlsratchet of -against"
	nameGo    = "do-nothing go-milter"
	nameC     = "do-nothing libmilter (C)"
	nameCAll  = "libmilter (C), all events"
	nameNone  = "no milter"
	// nameIdlePolicy is asked once a recipient, and answers DUNNO.
	nameIdlePolicy = "do-nothing policy service"
	nameOursPolicy = "tlsratchet, policy service"
)

// contestant is one of those that are measured side by side.
type contestant struct {
	name string
	// milter is nil where there is none.
	milter *process
	// ends is the event that its accept answers.
	ends byte
	// silent says that it is ours, and has nothing to say where all is well.
	silent bool
	// share is the part of the messages that it gets: one in so many.
	share int
	// borrowed is a process that another contestant ends.
	borrowed bool
}

// entry is what one contestant achieved, standings what all did.
type (
	entry struct {
		name string
		measure.Series
	}
	standings []entry
)

// of returns the rounds of a contestant, nil if it was not there.
func (s standings) of(name string) measure.Series {
	for _, e := range s {
		if e.name == name {
			return e.Series
		}
	}
	return nil
}

// contest is all of them.
type contest struct {
	all []*contestant
	// server is what the mail server has worked so far; nil without one.
	server func() time.Duration
}

// newContest starts the milters in dir, ours with a history of the given peers.
// Close it in any case.
func newContest(ctx context.Context, o *options, dir string, peers []client) (*contest, error) {
	c := &contest{}
	err := c.add(nameOurs, 'M', 1)(startTaught(ctx, o.binary, filepath.Join(dir, "ours"), peers))
	if err == nil && o.against != "" {
		err = c.add(nameOther, 'M', 1)(startTaught(ctx, o.against, filepath.Join(dir, "other"), peers))
	}
	if err == nil {
		err = c.add(nameGo, 'M', 1)(startDoNothing(ctx, dir))
	}
	if err == nil && o.c != "" {
		err = c.add(nameC, 'M', 1)(startC(ctx, o.c, dir, "mail"))
	}
	if err == nil && o.c != "" {
		err = c.add(nameCAll, 'E', 8)(startC(ctx, o.c, dir, "all"))
	}
	for _, one := range c.all {
		if err == nil {
			err = one.milter.answers(ctx)
		}
	}
	return c, err
}

// add takes what starting a milter returned.
func (c *contest) add(name string, ends byte, share int) func(*process, error) error {
	return func(p *process, err error) error {
		if err == nil {
			ours := name == nameOurs || name == nameOther
			c.all = append(c.all, &contestant{name: name, milter: p, ends: ends, share: share, silent: ours})
		}
		return err
	}
}

// close ends the milters. Output of ours is an error: it prints nothing
// where all is well.
func (c *contest) close() error {
	var errs []error
	for _, one := range c.all {
		if one.milter == nil || one.borrowed {
			continue
		}
		errs = append(errs, one.milter.stop())
		if text := one.milter.errs.String(); text != "" && one.silent {
			errs = append(errs, fmt.Errorf("%s printed: %s", one.name, text))
		}
	}
	return errors.Join(errs...)
}

// works makes sure that ours does its work: a steady peer that comes in clear
// is not accepted at MAIL.
func (c *contest) works(ctx context.Context, m mtatest.Message) error {
	s, err := mtatest.Dial(ctx, "unix", c.find(nameOurs).milter.socket, mtatest.Options{})
	if err != nil {
		return err
	}
	clear := inClear(m)
	clear.Rcpts = nil // nothing is learned from it, or logged
	r, err := s.Message(clear)
	if got := r.Reply('M').String(); err == nil && got != "continue" {
		err = fmt.Errorf("tlsratchet doesn't do its work: %s for a steady peer in clear", got)
	}
	return errors.Join(err, s.Close())
}

// rounds has all run once a round, forwards and backwards by turns and another
// one first each time, after a round that doesn't count.
func (c *contest) rounds(ctx context.Context, n int, run func(context.Context, int) (measure.Run, error)) (standings, error) {
	all := make(standings, len(c.all))
	for round := range n + 1 {
		for i := range c.all {
			if round%2 == 1 {
				i = len(c.all) - 1 - i
			}
			i = (i + round) % len(c.all)
			all[i].name = c.all[i].name
			runtime.GC() // not in the middle of somebody's turn
			before, served := c.all[i].milter.cpu(), c.served()
			r, err := run(ctx, i)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.all[i].name, err)
			}
			r.CPU = c.all[i].milter.cpu() - before
			r.System = r.CPU + c.served() - served
			if round > 0 {
				all[i].Series = append(all[i].Series, r.Figures())
			}
		}
	}
	return all, nil
}

func (c *contest) served() time.Duration {
	if c.server == nil {
		return 0
	}
	return c.server()
}

// find returns a contestant, or nil.
func (c *contest) find(name string) *contestant {
	for _, one := range c.all {
		if one.name == name {
			return one
		}
	}
	return nil
}

// milters measures milter sessions of one length.
func (c *contest) milters(ctx context.Context, o *options, length int, mails []mtatest.Message) (standings, error) {
	shape := load.Shape{Sessions: o.sessions, Length: length, Messages: o.messages}
	if length > 1 {
		shape.Messages *= longer
	}
	return c.rounds(ctx, o.rounds, func(ctx context.Context, i int) (measure.Run, error) {
		one := c.all[i]
		l := load.Milter{Shape: shape, Socket: one.milter.socket, Mails: mails, Ends: one.ends}
		l.Messages = max(l.Messages/one.share, l.Sessions*length)
		return l.Run(ctx)
	})
}

// longer is how many times as many messages the long sessions get, for they
// are faster.
const longer = 4
