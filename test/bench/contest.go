package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
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
	// again is another one of the same kind: the difference of the two is what the
	// method gets wrong.
	again = ", a second one"
	// nameIdlePolicy is asked once a recipient, and answers DUNNO.
	nameIdlePolicy = "do-nothing policy service"
	nameOursPolicy = "tlsratchet, policy service"
)

// contestant is one of those that are measured side by side.
type contestant struct {
	name string
	// ends is the event that a milter's accept answers.
	ends byte
	// share is the part of the messages that it gets: one in so many; 0 for all.
	share int
	// start starts it in a directory of its own, where it listens on serveSocket
	// or policySocket; peers are who will send. nil where there is nothing to start.
	start func(ctx context.Context, dir string, peers []client) (*process, error)
	// policy says that Postfix asks it by policy delegation.
	policy bool
	// process is nil until it is started.
	process *process
	// master is the process id of its own Postfix's master(8), 0 without.
	master int
}

// ours reports whether it is a tlsratchet, which prints nothing where all is well.
func (c *contestant) ours() bool {
	return c.name == nameOurs || c.name == nameOther || c.name == nameOursPolicy
}

// worked is the processor time of its own process so far, and of that and its
// Postfix.
func (c *contestant) worked() (own, system time.Duration) {
	own = c.process.cpu()
	if c.master == 0 {
		return own, own
	}
	return own, own + treeCPU(c.master)
}

// switched is how often the threads of its own process and its Postfix were put on a processor so far.
func (c *contestant) switched() (n int) {
	if c.process != nil {
		n = switches(c.process.cmd.Process.Pid)
	}
	if c.master != 0 {
		n += treeSwitches(c.master)
	}
	return n
}

// run has it work, and returns what that came to.
func (c *contestant) run(run func() (measure.Run, error)) (measure.Run, error) {
	own, system := c.worked()
	switched := c.switched()
	r, err := run()
	if err != nil {
		return r, fmt.Errorf("%s: %w", c.name, err)
	}
	r.CPU, r.System = c.worked()
	r.CPU -= own
	r.System -= system
	r.Switches = c.switched() - switched
	return r, nil
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
type contest []*contestant

// milters are those that speak the milter protocol, not started.
func (o *options) milters() contest {
	all := contest{{name: nameOurs, ends: 'M', start: taught(o.binary, false)}}
	if o.against != "" {
		all = append(all, &contestant{name: nameOther, ends: 'M', start: taught(o.against, false)})
	}
	all = append(all, &contestant{name: nameGo, ends: 'M', start: startDoNothing})
	if o.c != "" {
		all = append(all, &contestant{name: nameC, ends: 'M', start: o.startC("mail")},
			&contestant{name: nameCAll, ends: 'E', share: 8, start: o.startC("all")})
	}
	return all
}

// begin starts all in directories of their own under dir. Close it in any case.
func (c contest) begin(ctx context.Context, dir string, peers []client) error {
	for i, one := range c {
		if err := one.begin(ctx, filepath.Join(dir, strconv.Itoa(i)), peers); err != nil {
			return err
		}
	}
	return nil
}

// begin starts its process in a new directory.
func (c *contestant) begin(ctx context.Context, dir string, peers []client) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil || c.start == nil {
		return err
	}
	if c.process, err = c.start(ctx, dir, peers); err != nil {
		return err
	}
	return c.process.answers(ctx)
}

// close ends the processes. Output of ours is an error.
func (c contest) close() error {
	var errs []error
	for _, one := range c {
		if one.process == nil {
			continue
		}
		errs = append(errs, one.process.stop())
		if text := one.process.errs.String(); text != "" && one.ours() {
			errs = append(errs, fmt.Errorf("%s printed: %s", one.name, text))
		}
	}
	return errors.Join(errs...)
}

// works makes sure that ours does its work: a steady peer that comes in clear
// is not accepted at MAIL.
func (c contest) works(ctx context.Context, m mtatest.Message) error {
	s, err := mtatest.Dial(ctx, "unix", c.find(nameOurs).process.socket, mtatest.Options{})
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
func (c contest) rounds(ctx context.Context, n int, run func(context.Context, int) (measure.Run, error)) (standings, error) {
	all := c.standings()
	for round := range n + 1 {
		for i := range c {
			if round%2 == 1 {
				i = len(c) - 1 - i
			}
			i = (i + round) % len(c)
			runtime.GC() // not in the middle of somebody's turn
			r, err := c[i].run(func() (measure.Run, error) { return run(ctx, i) })
			if err != nil {
				return nil, err
			}
			if round > 0 {
				all[i].Series = append(all[i].Series, r.Figures())
			}
		}
	}
	return all, nil
}

// costs has all run by turns of milliseconds, so many a round, after a round that
// doesn't count: a machine that slows down for a second slows all alike. The figures
// of a round are of its undisturbed turns.
func (c contest) costs(ctx context.Context, n, turns int, run func(context.Context, int) (measure.Run, error)) (standings, error) {
	all := c.standings()
	for round := range n + 1 {
		if err := c.renew(ctx); err != nil {
			return nil, err
		}
		runs := make([][]measure.Run, len(c))
		for turn := range starting + turns {
			if turn == starting {
				clear(runs)
			}
			if err := c.turn(ctx, runs, run); err != nil {
				return nil, err
			}
		}
		for i := range all {
			if round > 0 {
				all[i].Series = append(all[i].Series, measure.Undisturbed(runs[i]).Figures())
			}
		}
	}
	return all, nil
}

// starting is how many turns start the processes anew, and don't count.
const starting = 2

// renew has each Postfix replace its processes: where in memory one happens to lie
// makes it a hundredth faster or slower. It waits until the old ones have ended: mail
// that one of them was given would be tried again a minute later.
func (c contest) renew(ctx context.Context) error {
	var done []int
	for _, one := range c {
		if one.master == 0 || slices.Contains(done, one.master) {
			continue
		}
		done = append(done, one.master)
		old := childrenOf(one.master)
		if err := syscall.Kill(one.master, syscall.SIGHUP); err != nil { // as postfix reload does
			return fmt.Errorf("%s: reload: %w", one.name, err)
		}
		for ; ctx.Err() == nil && shareOne(old, childrenOf(one.master)); time.Sleep(time.Millisecond) {
		}
	}
	return ctx.Err()
}

func shareOne(a, b []int) bool {
	return slices.ContainsFunc(a, func(n int) bool { return slices.Contains(b, n) })
}

// turn has each run once, in an order by chance, and appends to its runs.
func (c contest) turn(ctx context.Context, runs [][]measure.Run, run func(context.Context, int) (measure.Run, error)) error {
	runtime.GC() // not in the middle of somebody's turn
	for _, i := range rand.Perm(len(c)) {
		r, err := c[i].run(func() (measure.Run, error) { return run(ctx, i) })
		if err != nil {
			return err
		}
		runs[i] = append(runs[i], r)
	}
	return nil
}

func (c contest) standings() standings {
	all := make(standings, len(c))
	for i, one := range c {
		all[i].name = one.name
	}
	return all
}

// find returns a contestant, or nil.
func (c contest) find(name string) *contestant {
	for _, one := range c {
		if one.name == name {
			return one
		}
	}
	return nil
}

// sessions measures milter sessions of one length.
func (c contest) sessions(ctx context.Context, o *options, length int, mails []mtatest.Message) (standings, error) {
	shape := load.Shape{Sessions: o.sessions, Length: length, Messages: o.messages}
	if length > 1 {
		shape.Messages *= longer
	}
	return c.rounds(ctx, 3*o.rounds, func(ctx context.Context, i int) (measure.Run, error) {
		l := load.Milter{Shape: shape, Socket: c[i].process.socket, Mails: mails, Ends: c[i].ends}
		l.Messages = max(l.Messages/max(c[i].share, 1), l.Sessions*length)
		return l.Run(ctx)
	})
}

// longer is how many times as many messages the long sessions get, for they
// are faster.
const longer = 4
