package ratchet

import (
	"fmt"
	"slices"
	"time"

	"tlsratchet/tlsstate"
)

// Answer is what the breaker makes of actions. The operator's own wishes
// ([tlsstate.Policy.Peer], [tlsstate.Verdict.Required]) it leaves alone.
type Answer uint8

// The answers.
const (
	// Armed: nothing is limited.
	Armed Answer = iota
	// Softened: somebody strips close to us, or plays it, or the self-check is
	// still looking. Nothing is refused for good: reject becomes tempfail.
	Softened
	// Suspended: our own TLS is broken. At most a header, and what comes in
	// clear says nothing of its peer.
	Suspended
	// Excused is a decision's only: our own TLS was broken lately, and the peer
	// was not seen encrypted since. At most a header.
	Excused
)

var answerNames = [...]string{"armed", "softened", "suspended", "excused"}

// String returns the answer in lower case.
func (a Answer) String() string { return answerNames[min(int(a), len(answerNames)-1)] }

// limit returns what the answer makes of an action.
func (a Answer) limit(x tlsstate.Action) tlsstate.Action {
	switch a {
	case Softened:
		return min(x, tlsstate.Tempfail)
	case Suspended, Excused:
		return min(x, tlsstate.Header)
	}
	return x
}

// MarshalText returns the answer in lower case.
func (a Answer) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (a *Answer) UnmarshalText(text []byte) error {
	i := slices.Index(answerNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("unknown answer %.32q of the breaker", text)
	}
	*a = Answer(i)
	return nil
}

// BreakerState is what a [Breaker] knows, for people and for its next start.
type BreakerState struct {
	Answer Answer `json:"answer"`
	// Override is the operator's answer, which holds in its place; nil for none.
	Override *Answer `json:"override,omitempty"`
	// Since is when the answer was given: zero for one that never tripped.
	Since time.Time `json:"since,omitzero"`
	// Began is when the first downgrade came after the last encrypted session.
	Began time.Time `json:"began,omitzero"`
	// BrokenFrom and BrokenTo are when the self-check last found our own TLS
	// broken.
	BrokenFrom time.Time `json:"broken_from,omitzero"`
	BrokenTo   time.Time `json:"broken_to,omitzero"`
	// Recent are the pinned names that downgraded within the window, Silent
	// those since the last encrypted session, Delayed all that enforcement
	// befell since then, young pins and domains' too.
	Recent  []BreakerName `json:"recent,omitempty"`
	Silent  []BreakerName `json:"silent,omitempty"`
	Delayed []BreakerName `json:"delayed,omitempty"`
}

// Holds returns the answer that mail is given: the operator's, or the one that
// was found.
func (s *BreakerState) Holds() Answer {
	if s.Override != nil {
		return *s.Override
	}
	return s.Answer
}

// Repaired reports whether the answer is only that our own TLS works again, and
// not quite quiet yet: nobody strips us.
func (s *BreakerState) Repaired() bool {
	return s.Answer == Softened && s.Since.Sub(s.BrokenTo).Abs() < time.Minute
}

// BreakerName is one organisational domain, or network, that downgraded.
type BreakerName struct {
	Name    string `json:"name"`
	Network string `json:"network,omitempty"`
	// At is when it last did.
	At time.Time `json:"at"`
}

// State returns what the breaker knows at the given time: one that was tripped
// may be armed again by then.
func (b *Breaker) State(now time.Time) BreakerState {
	if b == nil {
		return BreakerState{}
	}
	defer b.lock()()
	b.forget(now)
	b.settle(now, false)
	s := b.s
	s.Recent, s.Silent, s.Delayed = slices.Clone(s.Recent), slices.Clone(s.Silent), slices.Clone(s.Delayed)
	return s
}

// Restore makes the breaker go on where another one was. Call it before the
// first session. What the state holds beyond the breaker's numbers is left out.
func (b *Breaker) Restore(s BreakerState) {
	for _, list := range []*[]BreakerName{&s.Recent, &s.Silent, &s.Delayed} {
		all := *list
		*list = nil
		for _, n := range all {
			addName(list, n, b.o.Domains+1)
		}
	}
	if s.Override != nil && *s.Override > Suspended {
		s.Override = nil
	}
	defer b.lock()()
	b.s, b.watching = s, len(s.Silent)+len(s.Delayed) > 0
}

// Override makes the breaker give one answer, whatever it finds; nil lets it
// find its own again. It is an operator's wish, and part of the state that is
// kept. [[peer]] rows are left alone all the same.
func (b *Breaker) Override(a *Answer) {
	defer b.lock()()
	b.s.Override = a
}
