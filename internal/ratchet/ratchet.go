package ratchet

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"

	"tlsratchet/tlsstate"
)

// Reasons for the outcome unknown.
var (
	// ErrNoSTARTTLS: no TLS session was ever seen on the listener (within 180
	// days), so that a session in clear there says nothing of the peer. Nothing
	// is wrong.
	ErrNoSTARTTLS = errors.New("the listener is not known to offer STARTTLS")
	// ErrDay: the session has no day.
	ErrDay = errors.New("session without a day")
	// ErrPanic: a bug; it was logged with its stack.
	ErrPanic = errors.New("panic")
)

// Histories is the memory: see package tlsstate/store.
type Histories interface {
	// Load returns the zero history for an identity never seen.
	Load(tlsstate.Identity) (tlsstate.History, error)
	// Learn replaces a history by what grow, which is pure and may be called
	// more than once, makes of the one that is current. The client's address is
	// for quotas on newcomers: one too many is forgotten, and no error.
	Learn(id tlsstate.Identity, client netip.Addr, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error)
	// Newest returns the newest day in any history, or 0.
	Newest() tlsstate.Day
}

// Ratchet judges sessions. Its methods may be called at the same time.
type Ratchet struct {
	histories Histories
	log       *slog.Logger
	rules     atomic.Pointer[tlsstate.Rules]
	clock     clockGuard
	failures  atomic.Uint64
	breaker   *Breaker
	senders   Senders
	shared    Shared // nil where the memory is this host's alone
}

// New returns a ratchet on the given memory and rules.
func New(histories Histories, rules *tlsstate.Rules, log *slog.Logger) *Ratchet {
	r := &Ratchet{histories: histories, log: log}
	r.rules.Store(rules)
	r.shared, _ = histories.(Shared)
	return r
}

// SetRules replaces the rules. Sessions under way keep theirs.
func (r *Ratchet) SetRules(rules *tlsstate.Rules) { r.rules.Store(rules) }

// SetBreaker makes b limit what downgrades lead to; nil limits nothing. Call it
// before the first session.
func (r *Ratchet) SetBreaker(b *Breaker) { r.breaker = b }

// Failures returns how many sessions were let through because something went
// wrong inside.
func (r *Ratchet) Failures() uint64 { return r.failures.Load() }

// Decide judges a session. It reads the memory and writes nothing; the breaker
// takes note of it.
func (r *Ratchet) Decide(s *Session) (d Decision) {
	defer func() {
		if p := recover(); p != nil {
			d = r.failed(fmt.Errorf("%w: %v", ErrPanic, p))
		}
	}()
	d.rule = r.rules.Load().For(s.Peer.IP, s.Peer.Host)
	if s.Authenticated || d.rule.Exempt {
		d.Outcome, d.Seen, d.Identity = tlsstate.Exempt, s.Security, s.Peer.Address
		return d
	}
	if s.day() == 0 {
		return r.failed(ErrDay)
	}
	r.refresh(s, &d)
	err := r.judge(s, &d)
	if err == nil && r.again(s, &d) {
		d = Decision{rule: d.rule}
		err = r.judge(s, &d)
	}
	switch {
	case errors.Is(err, ErrNoSTARTTLS):
		d.Verdict = tlsstate.Verdict{Identity: s.Peer.Listener, Seen: s.Security}
		d.Changes, d.Reason = false, err
	case err != nil:
		return r.failed(err)
	case d.Outcome == tlsstate.Downgraded:
		r.breaker.downgraded(s, &d)
	case s.Level > tlsstate.Plaintext:
		r.breaker.met(s)
	default:
		d.Breaker = r.breaker.inClear(s)
	}
	if s.Level == tlsstate.Plaintext && d.Breaker == Suspended {
		d.Changes = false // our own TLS is broken: it says nothing of the peer
	}
	return d
}

// judge holds the session against its listener's history, then its peer's.
func (r *Ratchet) judge(s *Session, d *Decision) error {
	offers, err := r.listener(s, d)
	if err != nil {
		return err
	}
	blind := !offers && s.Level == tlsstate.Plaintext
	if blind && d.rule.Least == tlsstate.Plaintext {
		return ErrNoSTARTTLS
	}
	var vs tlsstate.Verdicts
	o := tlsstate.Observation{Day: s.day(), Security: s.Security}
	if vs.Address, err = r.one(s.Peer.Address, &o, d); err != nil {
		return err
	}
	o = s.behind(o, &vs.Address)
	if vs.Domain, err = r.one(s.Peer.Domain, &o, d); err != nil {
		return err
	}
	heard := vs.Address.Outcome == tlsstate.Downgraded || vs.Domain.Outcome == tlsstate.Downgraded
	if vs.Sender, err = r.sender(s, tlsstate.Observation{Day: s.day(), Security: s.Security}, heard, d); err != nil {
		return err
	}
	d.Verdict = tlsstate.Combine(&vs, d.rule)
	if blind { // a standing wish holds everywhere, but nothing is learned
		d.Changes = false
	}
	return nil
}

// listener tells whether STARTTLS is known to be offered where the session
// came in. Sessions in clear leave its history alone.
func (r *Ratchet) listener(s *Session, d *Decision) (offers bool, err error) {
	if s.Peer.Listener.IsZero() {
		return false, nil
	}
	h, err := r.histories.Load(s.Peer.Listener)
	if err != nil {
		return false, fmt.Errorf("loading %s: %w", s.Peer.Listener, err)
	}
	if s.Level > tlsstate.Plaintext {
		if _, after := tlsstate.Judge(h, s.atListener(), d.rule); after != h {
			d.Changes = true
		}
	}
	return h.Offers(s.day()), nil
}

// one judges the session for one identity of its peer.
func (r *Ratchet) one(id tlsstate.Identity, o *tlsstate.Observation, d *Decision) (tlsstate.Verdict, error) {
	if id.IsZero() {
		return tlsstate.Verdict{}, nil
	}
	h, err := r.histories.Load(id)
	if err != nil {
		return tlsstate.Verdict{}, fmt.Errorf("loading %s: %w", id, err)
	}
	v, after := tlsstate.Judge(h, *o, d.rule)
	if after != h {
		d.Changes = true
	}
	v.Identity = id
	return v, nil
}

func (r *Ratchet) failed(err error) Decision {
	r.failures.Add(1)
	r.log.Error("session let through unjudged", "error", err)
	return Decision{Reason: err}
}

// atListener is what a listener learns of a session.
func (s *Session) atListener() tlsstate.Observation {
	return tlsstate.Observation{Day: s.day(), Security: tlsstate.Security{Level: s.Level}}
}

// behind returns what a domain learns: the session, and that an address with a
// pin of its own is behind it.
func (s *Session) behind(o tlsstate.Observation, address *tlsstate.Verdict) tlsstate.Observation {
	if address.Outcome == tlsstate.Steady || address.Outcome == tlsstate.Raised {
		o.Networks, o.Addresses = s.Peer.Network, s.Peer.Mark
	}
	return o
}
