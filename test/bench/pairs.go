package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"tlsratchet/test/bench/load"
	"tlsratchet/test/bench/measure"
	"tlsratchet/test/mtatest"
)

// pair is what came of the same tlsratchet twice, in set-ups that differ in one
// thing.
type pair struct {
	title, words string
	standings
	// base is the one that the other's rate is divided by.
	base string
	// facts come after the table.
	facts string
	aims  []aim
}

// write writes the pair's part of the report.
func (p *pair) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "## %s\n\n%s\n", p.title, p.words)
	p.table(b, p.base, "")
	if p.facts != "" {
		b.WriteString(p.facts + "\n")
	}
}

// unchanged is the aim that one of the pair has the other's throughput.
func (p *pair) unchanged(name string) aim {
	return atLeast("rate with "+name+" to without", 0.95, p.of(name).Ratio(p.of(p.base), measure.Rate))
}

// setup is one of a pair.
type setup struct {
	name string
	// config are lines for its configuration.
	config string
	// talks says that it has reason to say something.
	talks bool
}

// duel is a contest of a pair.
type duel struct {
	*contest
	o     *options
	mails []mtatest.Message
	// rare are messages in clear for one session in clearEvery, others of them
	// in each turn; nil for none.
	rare  []mtatest.Message
	turns []int // of each contestant
	// before, if not nil, is called before each turn with its number.
	before func(turn int) error
}

const (
	// moreRounds is how many times as many rounds a pair has, and shorter how much
	// shorter its turns are: its two are set apart by so little that the machine's
	// moods would hide it, which last longer than such a turn.
	moreRounds = 40
	shorter    = 4
	// pairLength is how many messages a session of a pair has.
	pairLength = 5
	// clearEvery: one session of so many comes in clear, where any does.
	clearEvery = 100
)

// pairRounds is how many rounds of a pair count, pairTurns how many turns each
// has in all.
func (o *options) pairRounds() int { return o.rounds * moreRounds }
func (o *options) pairTurns() int  { return o.pairRounds() + 1 }

// pairSessions is how many sessions a turn of a pair has.
func (o *options) pairSessions() int { return max(1, o.messages/shorter/pairLength) }

// clears is how many of them may come in clear.
func (o *options) clears() int { return (o.pairSessions() + clearEvery - 1) / clearEvery }

// duel has the set-ups measured, and adds what came of it to the report.
func (r *report) duel(ctx context.Context, dir string, peers []client, setups []setup, measure func(*duel) (*pair, error)) error {
	d, err := newDuel(ctx, r.options, dir, peers, setups)
	if err == nil {
		var p *pair
		if p, err = measure(d); err == nil {
			r.pairs = append(r.pairs, p)
		}
	}
	return errors.Join(err, d.close())
}

// newDuel starts the two in dir, with a history of the given peers. The mails
// are of the first peerCount of them. Close it in any case.
func newDuel(ctx context.Context, o *options, dir string, peers []client, setups []setup) (*duel, error) {
	d := &duel{contest: &contest{}, o: o, mails: mails(peers[:peerCount]), turns: make([]int, len(setups))}
	for i, s := range setups {
		err := d.add(s.name, 'M', 1)(startTaught(ctx, o.binary, filepath.Join(dir, fmt.Sprint(i)), peers, s.config))
		if err != nil {
			return d, err
		}
		d.all[i].silent = !s.talks
	}
	for _, one := range d.all {
		if err := one.milter.answers(ctx); err != nil {
			return d, err
		}
	}
	return d, nil
}

// run has the two take turns.
func (d *duel) run(ctx context.Context) (standings, error) {
	return d.rounds(ctx, d.o.pairRounds(), func(ctx context.Context, i int) (measure.Run, error) {
		turn := d.turns[i]
		d.turns[i]++
		if d.before != nil {
			if err := d.before(turn); err != nil {
				return measure.Run{}, err
			}
		}
		l := d.load(i, turn)
		return l.Run(ctx)
	})
}

// load is that of a turn.
func (d *duel) load(i, turn int) load.Milter {
	l := load.Milter{
		Shape:  load.Shape{Sessions: d.o.sessions, Length: pairLength, Messages: d.o.pairSessions() * pairLength},
		Socket: d.all[i].milter.socket, Mails: d.mails, Ends: 'M',
	}
	if n := d.o.clears(); d.rare != nil {
		l.Every, l.Rare = clearEvery, d.rare[turn*n:(turn+1)*n]
	}
	return l
}

// messages is how many a contestant had, those that don't count too.
func (d *duel) messages(i int) int { return d.turns[i] * d.o.pairSessions() * pairLength }

// inClear returns the message as it comes without encryption.
func inClear(m mtatest.Message) mtatest.Message {
	macros := map[string]string{}
	for name, value := range m.Macros {
		if name != "{tls_version}" && name != "{cipher}" && name != "{cipher_bits}" {
			macros[name] = value
		}
	}
	m.Macros = macros
	return m
}
