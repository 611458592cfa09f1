package replay

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"time"

	"tlsratchet/internal/maillog"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// Options are what a replay tries.
type Options struct {
	// Rules are the policy and its rows. Required.
	Rules *tlsstate.Rules
	// Breaker has the numbers of the breaker; it has no self-check here.
	Breaker ratchet.BreakerOptions
	// Sending are the settings for our own mail. Required.
	Sending outbound.Settings
	// Verdicts, if not nil, receives a line of JSON for each group of messages
	// that was judged.
	Verdicts io.Writer
}

// Result is what a policy makes of a log.
type Result struct {
	// Report is for people, and for --json.
	Report Report
	// Histories are what was learned of peers and of destinations: merge them into a store
	// ([tlsstate.Merge]). What an outage of our own TLS taught is not in them.
	Histories map[tlsstate.Identity]tlsstate.History
	// Offered joins the histories of all listeners of the log: what is known
	// of STARTTLS there. The log does not have their addresses; who knows them may
	// merge it into that listener's history.
	Offered tlsstate.History
}

// Run replays the logs; see [maillog.Read] for the errors. An error in writing
// the verdicts is one too.
func Run(ctx context.Context, sources []maillog.Source, mo maillog.Options, o Options) (*Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := newReplay(&o, cancel)
	batches, judged := make(chan []maillog.Session, 4), make(chan struct{})
	go func() { // judges while the log is read on
		defer close(judged)
		for batch := range batches {
			for i := range batch {
				r.message(&batch[i])
			}
		}
	}()
	const most = 1 << 8
	batch := make([]maillog.Session, 0, most)
	sending := newSending(&o, mo.Now)
	stats, err := maillog.Read(ctx, sources, mo, maillog.Sink{Deliveries: sending, Session: func(s *maillog.Session) {
		if batch = append(batch, *s); len(batch) == most {
			batches <- batch
			batch = make([]maillog.Session, 0, most)
		}
	}})
	batches <- batch
	close(batches)
	<-judged
	if err != nil {
		return nil, err
	}
	res := r.result(&stats, o.Rules.Default())
	sent, learned := sending.sent(o.Sending.Rules)
	maps.Copy(res.Histories, learned)
	res.Report.Sent = sent
	return res, nil
}

func newReplay(o *Options, cancel context.CancelCauseFunc) *replay {
	r := &replay{
		memory:    newMemory(),
		failures:  make(map[string]int64),
		incidents: newIncidents(&o.Breaker),
		outage:    &outage{most: o.Breaker.Domains, names: make(map[string]bool)},
		counts:    newCounts(),
		cancel:    cancel,
	}
	if o.Verdicts != nil {
		r.verdicts = json.NewEncoder(o.Verdicts)
	}
	r.ratchet = ratchet.New(ratchet.Options{Histories: r.memory, Rules: o.Rules, Breaker: ratchet.NewBreaker(o.Breaker), Log: slog.New(slog.DiscardHandler)})
	return r
}

// replay is one run.
type replay struct {
	memory    *memory
	ratchet   *ratchet.Ratchet
	session   ratchet.Session  // the one under way
	failures  map[string]int64 // the last failed handshake of an address
	incidents *incidents
	outage    *outage
	counts    counts
	verdicts  *json.Encoder // nil if nobody wants them
	cancel    context.CancelCauseFunc
}

// known is the peer that a client is; err is why it is none.
type known struct {
	peer.Peer
	err    error
	recent recent // what its last session found in the memory
}

func knownOf(c *maillog.Client) *known {
	k, ok := c.Known.(*known)
	if !ok {
		k = &known{}
		k.Peer, k.err = peer.Identify(peer.Client{Addr: c.Addr, Name: c.Name, Resolve: "OK"})
		c.Known = k
	}
	return k
}

// message judges messages of one session, or remembers a handshake that failed.
func (r *replay) message(m *maillog.Session) {
	if m.Messages == 0 {
		r.failure(m.Client.Addr, m.At)
		return
	}
	k, n := knownOf(m.Client), Count{1, m.Messages}
	switch {
	case k.err != nil:
		r.counts.Unreadable.plus(n)
		return
	case m.Authenticated:
		r.counts.Authenticated.plus(n)
		return
	case m.Unknown != "":
		r.counts.unknown(string(m.Unknown), n)
		return
	}
	s := &r.session
	*s = ratchet.Session{At: m.At, Security: *m.Security, Peer: k.Peer}
	s.Peer.Listener = m.Listener.Identity()
	r.memory.recent = &k.recent
	d := r.ratchet.Decide(s)
	switch {
	case d.Outcome == tlsstate.Exempt:
		r.counts.exempt(s, &d, n)
	case errors.Is(d.Reason, ratchet.ErrNoSTARTTLS):
		r.counts.unknown("no TLS was logged at this listener before", n)
	case d.Outcome == tlsstate.Unknown:
		r.counts.unknown("it could not be judged", n)
	default:
		r.judged(m, s, &d, n)
	}
}

// judged counts a verdict, and learns from the session.
func (r *replay) judged(m *maillog.Session, s *ratchet.Session, d *ratchet.Decision, n Count) {
	r.counts.judged(d, n)
	fault := r.outage.session(r, s)
	if d.Outcome == tlsstate.Downgraded {
		i := r.incidents.downgrade(s, d, m.Client.Name, m.Messages)
		if at, failed := r.failures[m.Client.Addr]; failed && m.At.Unix()-at <= 3600 {
			i.Fault = FaultHandshake
		} else if fault && i.Fault == "" {
			i.Fault = FaultOutage
		}
		fault = fault || i.Fault != ""
	} else {
		r.incidents.met(d)
	}
	r.verdict(m, s, d)
	r.memory.fault = fault
	for left := m.Messages; ; {
		r.ratchet.Learn(s, d)
		if left--; left == 0 || !d.Changes {
			return
		}
		*d = r.ratchet.Decide(s) // the session's next message
	}
}

// failure remembers a TLS handshake that failed.
func (r *replay) failure(addr string, at time.Time) {
	const most = 1 << 16
	if len(r.failures) >= most {
		clear(r.failures)
	}
	r.failures[addr] = at.Unix()
}

// result puts together what was found.
func (r *replay) result(stats *maillog.Stats, rule *tlsstate.Policy) *Result {
	res := &Result{Histories: r.memory.learned()}
	for _, l := range stats.Listeners {
		h, _ := r.memory.Load(l.Identity())
		res.Offered = tlsstate.Merge(res.Offered, h)
	}
	r.counts.Stats, r.counts.Policy = *stats, *rule
	for _, l := range r.counts.Listeners {
		l.Host, l.Service = clip(l.Host), clip(l.Service)
	}
	today := tlsstate.DayOf(stats.Ended)
	p := &r.counts.Peers
	p.Addresses, p.AddressesPinned = r.memory.count(tlsstate.Address, rule, today)
	p.Domains, p.DomainsPinned = r.memory.count(tlsstate.Domain, rule, today)
	r.counts.Incidents = r.incidents.list
	r.counts.finish()
	res.Report = r.counts.Report
	return res
}
