package ratchet

import (
	"sync"
	"sync/atomic"
	"time"

	"tlsratchet/tlsstate"
)

// Breaker distinguishes one stripped peer from many at once. When many pinned names
// downgrade together, either our own TLS is broken, or somebody strips close to
// us; it finds out which, and limits what is done to mail meanwhile.
//
// A self-check that gets no STARTTLS or no handshake suspends at once. Beyond
// that it counts first-hand pins alone: addresses that used TLS themselves, with a
// pin of some age, one for each organisational domain (an address without one
// counts as its network) and one for each network. It trips on more than
// Domains of them within Window, or, however long it takes, without one
// encrypted session in between: a small server has no eleven peers in ten
// minutes. It is armed again once no more than half as many came within Window.
//
// What follows is for the self-check to say; what it doesn't know, the traffic
// shows: no encrypted session since so many pinned names came without means
// that our own TLS is broken. With names of his own, however many, an attacker
// turns reject into tempfail, which loses nothing. More he gets only where
// there is no self-check, at an hour when nobody else's encrypted mail comes.
//
// Time is the sessions' own. The methods may be called at the same time, and on
// a nil Breaker, which limits nothing. Its memory is bounded.
type Breaker struct {
	o BreakerOptions
	// busy says that something is limited, or that no encrypted session came
	// since the last downgrade: only then does a session that meets its pin cost
	// more than a look at this.
	busy atomic.Bool

	mu sync.Mutex
	s  BreakerState
	// watching says that no encrypted session came since the last downgrade.
	watching bool
}

// BreakerOptions are the numbers of a [Breaker], and what it asks.
type BreakerOptions struct {
	// Domains is how many names may downgrade together before it trips: 1 to
	// 1000.
	Domains int
	// Window is within what time: more than 0.
	Window time.Duration
	// PinDays is how many days old a pin must be to count: 0 or more.
	PinDays int
	// SelfCheck returns whether our own STARTTLS worked when it was last tried,
	// and when that was; the zero time for unknown. It must not block: it is
	// called with a lock held. nil knows nothing. Have it look again at the first
	// downgrade in clear: for 15 seconds the breaker waits for that.
	SelfCheck func() (works bool, at time.Time)
	// Changed, if not nil, is called with every new answer, with no lock held: to
	// alert, and to try the self-check again at once. It must not block.
	Changed func(Answer)
}

const (
	// selfCheckAge is how long a result of the self-check is believed.
	selfCheckAge = time.Hour
	// lookTime is how long the self-check may take to look again after the
	// first downgrade.
	lookTime = 15 * time.Second
	// silence is how long a name counts if no encrypted session comes at all.
	silence = 24 * time.Hour
	// excuse is how long a peer that came in clear since our own TLS was broken
	// is excused.
	excuse = 3 * 24 * time.Hour
)

// NewBreaker returns an armed breaker.
func NewBreaker(o BreakerOptions) *Breaker { return &Breaker{o: o} }

// limit takes a decision into account, and limits its action. That the session
// was encrypted and no downgrade ends a silence; in clear, it is given the answer
// that holds.
func (b *Breaker) limit(s *Session, d *Decision) {
	downgraded, inClear := d.Outcome == tlsstate.Downgraded, s.Level == tlsstate.Plaintext
	if b == nil || !downgraded && !b.busy.Load() && (!inClear || b.o.SelfCheck == nil) {
		return
	}
	defer b.lock()()
	b.forget(s.At)
	switch {
	case downgraded:
		b.watch(s.At)
		b.count(s, d)
	case !inClear:
		b.watching, b.s.Silent, b.s.Delayed = false, nil, nil
		b.settle(s.At, false)
		return
	}
	b.settle(s.At, true)
	b.apply(s, d)
}

// preview limits the action of a decision as the breaker would now, and counts
// nothing.
func (b *Breaker) preview(s *Session, d *Decision) {
	if b == nil || d.Outcome != tlsstate.Downgraded {
		return
	}
	defer b.lock()()
	b.forget(s.At)
	b.settle(s.At, false)
	b.apply(s, d)
}

// apply gives the decision the answer that holds, and limits its action.
func (b *Breaker) apply(s *Session, d *Decision) {
	d.Breaker = b.s.Holds()
	if b.s.Override == nil && d.Breaker != Suspended && b.excuses(s, d) {
		d.Breaker = Excused
	}
	if !d.rule.Peer && !d.Required {
		d.Action = d.Breaker.limit(d.Action)
	}
}

// lock locks the breaker. What it returns unlocks it, and then reports a new
// answer.
func (b *Breaker) lock() (unlock func()) {
	b.mu.Lock()
	before := b.s.Answer
	return func() {
		answer := b.s.Answer
		b.busy.Store(b.watching || b.s.Override != nil || answer != Armed)
		b.mu.Unlock()
		if answer != before && b.o.Changed != nil {
			b.o.Changed(answer)
		}
	}
}

// watch waits for an encrypted session.
func (b *Breaker) watch(now time.Time) {
	if !b.watching {
		b.watching, b.s.Began = true, now
	}
}

// count adds a downgrade to the lists that it belongs to.
func (b *Breaker) count(s *Session, d *Decision) {
	n := s.BreakerName()
	most := b.o.Domains + 1
	if s.Level > tlsstate.Plaintext {
		b.s.Silent = nil
	}
	if d.Action > tlsstate.Header && !d.rule.Peer && !d.Required {
		addName(&b.s.Delayed, n, most)
	}
	firstHand := d.Identity.Kind == tlsstate.Address && !d.Required
	if !firstHand || int(s.day())-int(d.Since) < b.o.PinDays {
		return
	}
	addName(&b.s.Recent, n, most)
	if s.Level == tlsstate.Plaintext {
		addName(&b.s.Silent, n, most)
	}
}

// forget removes what is over.
func (b *Breaker) forget(now time.Time) {
	expire(&b.s.Recent, now, b.o.Window)
	expire(&b.s.Silent, now, silence)
	expire(&b.s.Delayed, now, silence)
}

// settle gives the answer that holds now. A downgrade, and a session in clear,
// may trip the breaker: because there are too many, or because the newest self-check
// got no STARTTLS or no handshake. Nobody else has a say in that: it needs no names
// that downgrade. It is believed while it is the newest result: one of several
// listeners may be broken, and the others' peers prove nothing.
func (b *Breaker) settle(now time.Time, trips bool) {
	works, fresh, at := b.selfCheck(now)
	many, broken := trips && max(len(b.s.Recent), len(b.s.Silent)) > b.o.Domains, fresh && !works
	if b.s.Answer == Armed && !many && !(trips && broken) {
		return
	}
	if trips && broken {
		b.watch(now)
	}
	answer := Suspended
	if !broken {
		answer = b.diagnose(now, fresh, at)
	}
	if answer == Softened && !many && len(b.s.Recent) <= b.o.Domains/2 {
		answer = Armed
	}
	if broken {
		if now.Sub(b.s.BrokenTo).Abs() > selfCheckAge {
			b.s.BrokenFrom = b.s.Began
		}
		b.s.BrokenTo = now
	}
	if answer != b.s.Answer {
		b.s.Answer, b.s.Since = answer, now
	}
}

// diagnose returns what it means if there are too many, and the self-check finds
// nothing broken; fresh and at are those of its last result. That it worked is
// believed only if that was after the first downgrade: what broke, broke then. While
// it looks again, silence proves nothing: somebody close to us who strips everybody
// brings it about within a second.
func (b *Breaker) diagnose(now time.Time, fresh bool, at time.Time) Answer {
	before := at.Before(b.s.Began)
	looking := before && !at.IsZero() && now.Sub(b.s.Began).Abs() < lookTime
	switch {
	case fresh && !before:
		return Softened
	case len(b.s.Silent) > b.o.Domains && !looking:
		return Suspended
	}
	return Softened
}

// selfCheck returns the result of the self-check, and whether that is still
// believed.
func (b *Breaker) selfCheck(now time.Time) (works, fresh bool, at time.Time) {
	if b.o.SelfCheck == nil {
		return false, false, time.Time{}
	}
	works, at = b.o.SelfCheck()
	return works, now.Sub(at).Abs() <= selfCheckAge, at
}

// excuses reports whether a peer may still be in clear for what we did to it:
// some remember a failed handshake for days. It was not seen encrypted since
// the self-check found our own TLS broken, and that is not long ago. Silence
// alone excuses nobody: whoever strips close to us can make it.
func (b *Breaker) excuses(s *Session, d *Decision) bool {
	return d.Kind == tlsstate.Stripped && !b.s.BrokenTo.IsZero() && d.Last <= tlsstate.DayOf(b.s.BrokenFrom) &&
		!s.At.Before(b.s.BrokenFrom) && s.At.Sub(b.s.BrokenTo) < excuse
}
