package ratchet

import (
	"errors"
	"fmt"
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
	// watching says that no encrypted session came since the last downgrade: only
	// then does an encrypted one cost more than a look at this.
	watching atomic.Bool

	mu sync.Mutex
	s  BreakerState
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
	Changed func(BreakerState)
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

// NewBreaker returns an armed breaker. The error says which number is out of
// range.
func NewBreaker(o BreakerOptions) (*Breaker, error) {
	var errs []error
	if o.Domains < 1 || o.Domains > 1000 {
		errs = append(errs, fmt.Errorf("domains = %d: use 1 to 1000", o.Domains))
	}
	if o.Window <= 0 {
		errs = append(errs, fmt.Errorf("window = %s: use more than 0", o.Window))
	}
	if o.PinDays < 0 {
		errs = append(errs, fmt.Errorf("pin_days = %d: use 0 or more", o.PinDays))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &Breaker{o: o}, nil
}

// downgraded takes a downgrade into account and limits its action.
func (b *Breaker) downgraded(s *Session, d *Decision) {
	if b == nil {
		return
	}
	defer b.lock()()
	if !b.watching.Swap(true) {
		b.s.Began = s.At
	}
	b.settle(s.At)
	b.count(s, d)
	b.trip(s.At)
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

// preview limits the action of a decision as the breaker would now, and counts
// nothing.
func (b *Breaker) preview(s *Session, d *Decision) {
	if b == nil || d.Outcome != tlsstate.Downgraded {
		return
	}
	defer b.lock()()
	b.settle(s.At)
	b.apply(s, d)
}

// met takes note that a session was encrypted and no downgrade.
func (b *Breaker) met(s *Session) {
	if b == nil || !b.watching.Load() {
		return
	}
	defer b.lock()()
	b.watching.Store(false)
	b.s.Silent, b.s.Delayed = nil, nil
	b.settle(s.At)
}

// inClear returns the answer that holds for a session in clear that is no
// downgrade.
func (b *Breaker) inClear(s *Session) Answer {
	if b == nil {
		return Armed
	}
	defer b.lock()()
	if b.s.Override != nil {
		return *b.s.Override
	}
	if b.broken(s.At) {
		if !b.watching.Swap(true) {
			b.s.Began = s.At
		}
		b.set(Suspended, s.At)
	}
	b.settle(s.At)
	return b.s.Answer
}

// lock locks the breaker. What it returns unlocks it, and then reports a new
// answer.
func (b *Breaker) lock() (unlock func()) {
	b.mu.Lock()
	before := b.s.Answer
	return func() {
		var state BreakerState
		changed := b.s.Answer != before && b.o.Changed != nil
		if changed {
			state = b.s.clone()
		}
		b.mu.Unlock()
		if changed {
			b.o.Changed(state)
		}
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
	if !firstHand || d.Since == 0 || int(s.day())-int(d.Since) < b.o.PinDays {
		return
	}
	addName(&b.s.Recent, n, most)
	if s.Level == tlsstate.Plaintext {
		addName(&b.s.Silent, n, most)
	}
}

// settle forgets what is over, and gives the answer that then holds.
func (b *Breaker) settle(now time.Time) {
	expire(&b.s.Recent, now, b.o.Window)
	expire(&b.s.Silent, now, silence)
	expire(&b.s.Delayed, now, silence)
	if b.s.Answer == Armed {
		return
	}
	b.set(b.diagnose(now), now)
	if b.s.Answer == Softened && len(b.s.Recent) <= b.o.Domains/2 {
		b.set(Armed, now)
	}
}

// trip looks whether there are too many, or whether the self-check failed, and
// gives the answer to that.
func (b *Breaker) trip(now time.Time) {
	most := b.o.Domains
	answer := b.diagnose(now)
	if len(b.s.Recent) > most || len(b.s.Silent) > most || b.broken(now) || b.s.Answer != Armed {
		b.set(answer, now)
	}
}

// diagnose returns what it means if there are too many. That the self-check
// failed is believed while it is the newest result: one of several listeners
// may be broken, and the others' peers prove nothing. That it worked is
// believed only if that was after the first downgrade: what broke, broke then.
// While it looks again, silence proves nothing: somebody close to us who strips
// everybody brings it about within a second.
func (b *Breaker) diagnose(now time.Time) Answer {
	works, at := b.selfCheck(now)
	switch {
	case at.IsZero():
	case !works:
		return Suspended
	case !at.Before(b.s.Began):
		return Softened
	}
	if len(b.s.Silent) > b.o.Domains && !b.looks(now) {
		return Suspended
	}
	return Softened
}

// broken reports whether the newest self-check got no STARTTLS or no handshake.
// Nobody else has a say in that: it needs no names that downgrade.
func (b *Breaker) broken(now time.Time) bool {
	works, at := b.selfCheck(now)
	return !at.IsZero() && !works
}

// looks reports whether the self-check, which worked or failed before the first
// downgrade, may still be looking again.
func (b *Breaker) looks(now time.Time) bool {
	if b.o.SelfCheck == nil {
		return false
	}
	_, at := b.o.SelfCheck()
	return !at.IsZero() && at.Before(b.s.Began) && now.Sub(b.s.Began).Abs() < lookTime
}

// selfCheck returns the result of the self-check, if it is of any use.
func (b *Breaker) selfCheck(now time.Time) (works bool, at time.Time) {
	if b.o.SelfCheck == nil {
		return false, time.Time{}
	}
	works, at = b.o.SelfCheck()
	if now.Sub(at).Abs() > selfCheckAge {
		return false, time.Time{}
	}
	return works, at
}

func (b *Breaker) set(a Answer, now time.Time) {
	if works, at := b.selfCheck(now); a == Suspended && !at.IsZero() && !works {
		if now.Sub(b.s.BrokenTo).Abs() > selfCheckAge {
			b.s.BrokenFrom = b.s.Began
		}
		b.s.BrokenTo = now
	}
	if a != b.s.Answer {
		b.s.Answer, b.s.Since = a, now
	}
}

// excuses reports whether a peer may still be in clear for what we did to it:
// some remember a failed handshake for days. It was not seen encrypted since
// the self-check found our own TLS broken, and that is not long ago. Silence
// alone excuses nobody: whoever strips close to us can make it.
func (b *Breaker) excuses(s *Session, d *Decision) bool {
	return d.Kind == tlsstate.Stripped && !b.s.BrokenTo.IsZero() && d.Last <= tlsstate.DayOf(b.s.BrokenFrom) &&
		!s.At.Before(b.s.BrokenFrom) && s.At.Sub(b.s.BrokenTo) < excuse
}
