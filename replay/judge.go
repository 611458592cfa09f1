package replay

import (
	"errors"
	"log/slog"
	"time"

	"tlsratchet/maillog"
	"tlsratchet/peer"
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

// Judge sends the log through a ratchet with the given rules.
func (l *Log) Judge(rules *tlsstate.Rules) *Result {
	t := trial{
		log: l, memory: make(memory), peers: make(map[*maillog.Client]peer.Peer),
		atOnce: rules.Default().PinAfterDays == 1,
		report: newReport(l, rules.Default()), incidents: newIncidents(),
		touched: make(map[tlsstate.Action]map[tlsstate.Identity]bool),
	}
	t.ratchet = ratchet.New(t.memory, rules, slog.New(slog.DiscardHandler))
	for _, c := range l.sorted() {
		t.cell(c)
	}
	return t.result(rules.Default())
}

// trial is a Judge under way.
type trial struct {
	log       *Log
	memory    memory
	ratchet   *ratchet.Ratchet
	atOnce    bool // pins form on the first day
	peers     map[*maillog.Client]peer.Peer
	report    Report
	incidents *incidents
	touched   map[tlsstate.Action]map[tlsstate.Identity]bool
}

// cell judges the sessions of one.
func (t *trial) cell(c *cell) {
	p, ok := t.peer(c.client)
	if !ok {
		t.report.Unreadable.add(c)
		return
	}
	if c.unknown && !c.authenticated {
		t.report.Unknown.add(c)
		return
	}
	p.Listener = c.listener.Identity()
	s := ratchet.Session{At: time.Unix(c.first, 0).UTC(), Security: *c.security, Peer: p, Authenticated: c.authenticated}
	d := t.ratchet.Decide(&s)
	switch {
	case c.authenticated:
		t.report.Authenticated.add(c)
		return
	case d.Outcome == tlsstate.Exempt:
		t.report.Exempt.add(c)
		return
	case d.Outcome == tlsstate.Unknown:
		t.report.Unknown.add(c)
		if errors.Is(d.Reason, ratchet.ErrNoSTARTTLS) {
			t.report.Reasons["no TLS was logged at this listener before"] += c.sessions
		}
		return
	}
	t.ratchet.Learn(&s, &d)
	if t.atOnce && d.Changes && c.repeated() {
		// The second message meets the pin that the first one formed, and tells
		// the domain so.
		again := t.ratchet.Decide(&s)
		t.ratchet.Learn(&s, &again)
	}
	t.report.judged(c)
	t.met(&s, &d, c)
}

// met books what a judged cell means for incidents.
func (t *trial) met(s *ratchet.Session, d *ratchet.Decision, c *cell) {
	if d.Outcome != tlsstate.Downgraded {
		t.incidents.met(d)
		return
	}
	t.incidents.downgrade(s, d, c, t.log.failedBefore(c.client.Addr, c.first, c.day))
	if t.touched[d.Action] == nil {
		t.touched[d.Action] = make(map[tlsstate.Identity]bool)
	}
	t.touched[d.Action][d.Identity] = true
	t.report.actions[d.Action].Messages += c.messages
}

// peer returns the identities of a client. They are looked up once.
func (t *trial) peer(c *maillog.Client) (peer.Peer, bool) {
	p, known := t.peers[c]
	if !known {
		resolve := "OK"
		if c.Name == "unknown" {
			resolve = "FAIL"
		}
		// On an error it stays the zero Peer.
		p, _ = peer.Identify(peer.Client{Addr: c.Addr, Name: c.Name, Resolve: resolve})
		t.peers[c] = p
	}
	return p, p.IP.IsValid()
}

func (t *trial) result(rule *tlsstate.Policy) *Result {
	r := &Result{Histories: make(map[tlsstate.Identity]tlsstate.History)}
	today := tlsstate.DayOf(t.log.stats.Ended)
	for id, h := range t.memory {
		if id.Kind == tlsstate.Listener {
			r.Offered = tlsstate.Merge(r.Offered, h)
			continue
		}
		r.Histories[id] = h
		t.report.Peers.add(id.Kind, pinned(&h, rule, today))
	}
	for a, ids := range t.touched {
		t.report.actions[a].Peers = len(ids)
	}
	t.report.Incidents = t.incidents.all()
	t.report.finish()
	r.Report = t.report
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
