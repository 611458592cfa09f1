package ratchet

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tlsratchet/internal/peer/spf"
	"tlsratchet/tlsstate"
)

// Reasons for the outcomes unknown and exempt.
var (
	// ErrAuthenticated: the client logged in with SASL.
	ErrAuthenticated = errors.New("the client logged in")
	// ErrExempt: the configuration exempts the client.
	ErrExempt = errors.New("the configuration exempts the client")
	// ErrPrivate: the client has a private address.
	ErrPrivate = errors.New("the client has a private address; judge_networks does not list it")
	// ErrNoSTARTTLS: no TLS session was ever seen on the listener (within 180
	// days), so a session in clear there says nothing of the peer. Nothing is
	// wrong.
	ErrNoSTARTTLS = errors.New("the listener is not known to offer STARTTLS")
	// ErrDay: the session has no day.
	ErrDay = errors.New("session without a day")
	// ErrPanic: a bug. The first one is logged with its stack.
	ErrPanic = errors.New("panic")
)

// Histories is the memory: see package tlsstate/store. One that is [Shared] is
// asked what other hosts know.
type Histories interface {
	// Load returns the zero history for an identity never seen.
	Load(tlsstate.Identity) (tlsstate.History, error)
	// Update joins the current history with what grow makes of it. grow is pure and
	// may be called more than once. The client's address is for quotas on newcomers:
	// one too many is not stored, which is no error. What is known then is returned.
	Update(id tlsstate.Identity, client netip.Addr, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error)
	// Newest returns the newest day in any history, or 0.
	Newest() tlsstate.Day
}

// Senders proves claims of senders; see [spf.Prover], whose methods these are.
type Senders interface {
	Prove(context.Context, spf.Claim) spf.Result
	Learn(c spf.Claim, learn func()) bool
	Tried(spf.Claim) bool
}

// Options are what a [Ratchet] works with.
type Options struct {
	// Histories is the memory. Required.
	Histories Histories
	// Changes counts the changes of histories: while it is the same, they are. It
	// must not block. nil: each message is judged, whatever its [Last].
	Changes func() uint64
	// Rules are the policy and its rows; [Ratchet.SetRules] replaces them.
	// Required.
	Rules *tlsstate.Rules
	// Breaker limits what downgrades lead to; nil limits nothing.
	Breaker *Breaker
	// PlainListeners are the ports that offer no STARTTLS: nothing is known of a
	// session in clear there. At any other port that was never seen with TLS,
	// while one was, a pinned peer in clear is a downgrade with a header at most.
	PlainListeners []string
	// Senders proves senders; nil makes no identities of senders.
	Senders Senders
	// Observe, if not nil, is called with the time that some operations took:
	// a decision and its loads ten times a second at most, and every
	// change. It is on the mail path and must not block.
	Observe func(Operation, time.Duration)
	// Log is where failures go. Required.
	Log *slog.Logger
}

// Operation is what [Options.Observe] measures.
type Operation uint8

// The operations.
const (
	// Deciding is one [Ratchet.Decide].
	Deciding Operation = iota
	// Loading is one history read.
	Loading
	// Learning is one history changed.
	Learning
)

// timedEvery is how long no second decision is timed, in milliseconds: timing one
// takes half as long as doing it.
const timedEvery = 100

// Plain reports whether a listener is known to offer no STARTTLS.
func (o *Options) Plain(id tlsstate.Identity) bool { return slices.Contains(o.PlainListeners, id.Name) }

// Ratchet judges sessions. Its methods may be called at the same time.
type Ratchet struct {
	o        Options
	shared   Shared // nil where the memory is this host's alone
	rules    atomic.Pointer[tlsstate.Rules]
	clock    clockGuard
	failures failures
	// privateSeen is set once a session from a private address was logged.
	privateSeen atomic.Bool

	// timedAt is when a decision was timed last, in units of timedEvery.
	timedAt atomic.Int64
	// trials are kept for the next decision: on a stack one would make that grow
	// in every connection.
	trials sync.Pool
}

// New returns a ratchet.
func New(o Options) *Ratchet {
	r := &Ratchet{o: o, failures: newFailures(o.Log), trials: sync.Pool{New: func() any { return new(trial) }}}
	r.rules.Store(o.Rules)
	r.shared, _ = o.Histories.(Shared)
	return r
}

// SetRules replaces the rules. Sessions under way continue with theirs.
func (r *Ratchet) SetRules(rules *tlsstate.Rules) { r.rules.Store(rules) }

// Failures returns how many sessions were accepted, or not remembered, because
// something went wrong inside.
func (r *Ratchet) Failures() uint64 { return r.failures.count.Load() }

// Decide judges a session, and sets what its certificate means under the rules.
// It reads the memory and writes nothing; the breaker counts the verdict.
func (r *Ratchet) Decide(s *Session) (d Decision) {
	defer func() {
		if p := recover(); p != nil {
			d = Decision{Reason: r.failures.panicked(p)}
		}
	}()
	now := r.circumstances(s)
	if d, ok := s.Last.again(s, &now); ok {
		r.o.Breaker.limit(s, &d)
		return d
	}
	timed := r.o.Observe != nil && r.due(s.At)
	if timed {
		defer r.timed(Deciding, time.Now())
	}
	t := r.trials.Get().(*trial)
	defer r.trials.Put(t)
	r.begin(t, s)
	t.timed = timed
	if t.exempt() {
		r.notePrivate(t)
		return t.Decision
	}
	if err := r.try(t); err != nil {
		r.failures.note(err)
		return Decision{Reason: err}
	}
	r.failures.trouble.Note(r.o.Log, nil)
	if d = t.Decision; d.Reason == nil {
		r.o.Breaker.limit(s, &d)
	}
	if s.Level == tlsstate.Plaintext && d.Breaker == Suspended {
		d.Changes = false // our own TLS is broken: it says nothing of the peer
	}
	s.Last.keep(t, &d, &now)
	return d
}

// due reports whether a decision is to be timed.
func (r *Ratchet) due(at time.Time) bool {
	now := at.UnixMilli() / timedEvery
	return r.timedAt.Swap(now) != now
}

func (r *Ratchet) timed(op Operation, began time.Time) { r.o.Observe(op, time.Since(began)) }
