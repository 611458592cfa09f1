package replay

import (
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"tlsratchet/internal/ratchet"
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
	cs, order := &l.cells, l.cells.sorted()
	trials := make([]*trial, runtime.GOMAXPROCS(0))
	who, all := identify(cs, len(trials))
	offered := newOffers(cs, order, who, rules)
	parts := byWorker(cs, order, who, &all, len(trials))
	histories := make([]tlsstate.History, len(all.of))
	var wg sync.WaitGroup
	for n := range trials {
		t := newTrial(l, rules, offered, histories)
		trials[n] = t
		wg.Go(func() {
			for _, place := range parts[n] {
				c := cs.at(place)
				t.cell(c, &cs.kinds[c.kind], &who[c.client])
			}
		})
	}
	wg.Wait()
	r := &Result{Histories: make(map[tlsstate.Identity]tlsstate.History, len(all.of)), Offered: offered.all()}
	for id, n := range all.of {
		if h := histories[n]; h != (tlsstate.History{}) {
			r.Histories[id] = h
		}
	}
	r.report(l, trials, rules.Default())
	return r
}

// trial is one worker's part of a Judge.
type trial struct {
	log       *Log
	memory    memory
	ratchet   *ratchet.Ratchet
	session   ratchet.Session // the one under way
	offers    offers
	atOnce    bool // pins form on the first day
	tally     tally
	incidents *incidents
}

func newTrial(l *Log, rules *tlsstate.Rules, offered offers, histories []tlsstate.History) *trial {
	t := &trial{
		log: l, offers: offered, atOnce: rules.Default().PinAfterDays == 1, incidents: newIncidents(),
		memory: memory{histories: histories},
	}
	t.ratchet = ratchet.New(ratchet.Options{Histories: &t.memory, Rules: rules, Log: slog.New(slog.DiscardHandler)})
	return t
}

// logListener stands for the listener of the cell under way: see memory.
var logListener = tlsstate.Identity{Kind: tlsstate.Listener, Name: "log"}

// cell judges the sessions of one.
func (t *trial) cell(c *cell, k *kind, p *known) {
	switch {
	case !p.ok:
		t.tally.Unreadable.add(c)
		return
	case k.unknown && !k.authenticated:
		t.tally.Unknown.add(c)
		return
	}
	s := &t.session
	*s = ratchet.Session{At: time.Unix(c.first, 0).UTC(), Security: *k.security, Peer: p.Peer, Authenticated: k.authenticated}
	s.Peer.Listener = logListener
	t.memory.peer, t.memory.listener = p, t.offers.at(k.listener, c.first)
	d := t.ratchet.Decide(s)
	switch {
	case k.authenticated:
		t.tally.Authenticated.add(c)
	case d.Outcome == tlsstate.Exempt:
		t.tally.Exempt.add(c)
	case d.Outcome == tlsstate.Unknown:
		t.tally.Unknown.add(c)
		if errors.Is(d.Reason, ratchet.ErrNoSTARTTLS) {
			t.tally.noSTARTTLS += int(c.sessions)
		}
	default:
		t.learn(s, &d, c, k.security.Level)
	}
}

// learn takes over what a cell that was judged teaches, and books it.
func (t *trial) learn(s *ratchet.Session, d *ratchet.Decision, c *cell, level tlsstate.Level) {
	t.ratchet.Learn(s, d)
	if t.atOnce && d.Changes && c.repeated() {
		// The second message meets the pin that the first one formed, and tells
		// the domain so.
		again := t.ratchet.Decide(s)
		t.ratchet.Learn(s, &again)
	}
	t.tally.judged(c, level)
	if d.Outcome != tlsstate.Downgraded {
		t.incidents.met(d)
		return
	}
	client := t.log.cells.clients[c.client]
	t.incidents.downgrade(s, d, client, int(c.messages), t.log.failedBefore(client.Addr, c.first, c.day))
	t.tally.acted(d, c)
}

// report puts together what the workers found.
func (r *Result) report(l *Log, trials []*trial, rule *tlsstate.Policy) {
	var sum tally
	incidents := newIncidents()
	for _, t := range trials {
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
