package replay

import (
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"tlsratchet/ratchet"
	"tlsratchet/tlsstate"
)

// Result is what a policy makes of a log.
type Result struct {
	// Report is for people, and for --json.
	Report Report
	// Histories are what was learned, of peers alone: merge them into a store
	// ([tlsstate.Merge]).
	Histories map[tlsstate.Identity]tlsstate.History
	// Offered joins the histories of all listeners of the log: what is known
	// of STARTTLS there. The log doesn't know their addresses; who does may
	// merge it into that listener's history.
	Offered tlsstate.History
}

// Judge sends the log through a ratchet with the given rules, on all CPUs.
func (l *Log) Judge(rules *tlsstate.Rules) *Result {
	cells := l.sorted()
	trials := make([]*trial, runtime.GOMAXPROCS(0))
	who := identify(cells, len(trials))
	offered := newOffers(cells, who, rules)
	var wg sync.WaitGroup
	for n := range trials {
		t := newTrial(l, rules, offered)
		trials[n] = t
		wg.Go(func() {
			for i, c := range cells {
				if who[i].worker == n {
					t.cell(c, who[i])
				}
			}
		})
	}
	wg.Wait()
	return l.result(trials, rules.Default(), offered)
}

// trial is one worker's part of a Judge.
type trial struct {
	log       *Log
	memory    memory
	ratchet   *ratchet.Ratchet
	offers    offers
	atOnce    bool // pins form on the first day
	tally     tally
	incidents *incidents
}

func newTrial(l *Log, rules *tlsstate.Rules, offered offers) *trial {
	t := &trial{
		log: l, offers: offered, atOnce: rules.Default().PinAfterDays == 1, incidents: newIncidents(),
		memory: memory{peers: make(map[tlsstate.Identity]*tlsstate.History)},
	}
	t.ratchet = ratchet.New(&t.memory, rules, slog.New(slog.DiscardHandler))
	return t
}

// logListener stands for the listener of the cell under way: see memory.
var logListener = tlsstate.Identity{Kind: tlsstate.Listener, Name: "log"}

// cell judges the sessions of one.
func (t *trial) cell(c *cell, p *known) {
	switch {
	case !p.ok:
		t.tally.Unreadable.add(c)
		return
	case c.unknown && !c.authenticated:
		t.tally.Unknown.add(c)
		return
	}
	s := ratchet.Session{At: time.Unix(c.first, 0).UTC(), Security: *c.security, Peer: p.Peer, Authenticated: c.authenticated}
	s.Peer.Listener = logListener
	t.memory.listener = t.offers.at(c.listener, c.first)
	d := t.ratchet.Decide(&s)
	switch {
	case c.authenticated:
		t.tally.Authenticated.add(c)
	case d.Outcome == tlsstate.Exempt:
		t.tally.Exempt.add(c)
	case d.Outcome == tlsstate.Unknown:
		t.tally.Unknown.add(c)
		if errors.Is(d.Reason, ratchet.ErrNoSTARTTLS) {
			t.tally.noSTARTTLS += c.sessions
		}
	default:
		t.learn(&s, &d, c)
	}
}

// learn takes over what a cell that was judged teaches, and books it.
func (t *trial) learn(s *ratchet.Session, d *ratchet.Decision, c *cell) {
	t.ratchet.Learn(s, d)
	if t.atOnce && d.Changes && c.repeated() {
		// The second message meets the pin that the first one formed, and tells
		// the domain so.
		again := t.ratchet.Decide(s)
		t.ratchet.Learn(s, &again)
	}
	t.tally.judged(c)
	if d.Outcome != tlsstate.Downgraded {
		t.incidents.met(d)
		return
	}
	t.incidents.downgrade(s, d, c, t.log.failedBefore(c.client.Addr, c.first, c.day))
	t.tally.acted(d, c)
}

// result puts together what the workers found. No identity was with two.
func (l *Log) result(trials []*trial, rule *tlsstate.Policy, offered offers) *Result {
	r := &Result{Histories: make(map[tlsstate.Identity]tlsstate.History), Offered: offered.all()}
	var sum tally
	incidents := newIncidents()
	for _, t := range trials {
		for id, h := range t.memory.peers {
			r.Histories[id] = *h
		}
		sum.join(&t.tally)
		incidents.list = append(incidents.list, t.incidents.list...)
	}
	r.Report = newReport(l, rule)
	r.Report.take(&sum)
	today := tlsstate.DayOf(l.stats.Ended)
	for id, h := range r.Histories {
		r.Report.Peers.add(id.Kind, pinned(&h, rule, today))
	}
	r.Report.Incidents = incidents.all()
	r.Report.finish()
	return r
}

// pinned tells whether a pin holds on a day.
func pinned(h *tlsstate.History, rule *tlsstate.Policy, today tlsstate.Day) bool {
	for l := tlsstate.Weak; l <= rule.PinUpTo; l++ {
		if h.PinState(l, rule, today, false) == tlsstate.PinHolds {
			return true
		}
	}
	return false
}
