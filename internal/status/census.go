package status

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"tlsratchet/tlsstate"
)

const (
	kindsOfIdentity = int(tlsstate.LastKind) + 1
	// maxPlain is how many peers without TLS are named.
	maxPlain = 20
)

// Count is what a walk through the memory found.
type Count struct {
	// At is when it was finished; zero for never.
	At time.Time
	// Known and Pinned count identities by kind, and those with a pin that
	// holds.
	Known, Pinned [kindsOfIdentity]int
	// Plain are the peers without TLS in 64 days, those that came on
	// the most days first.
	Plain []PlainPeer
}

// PlainPeer is a peer without TLS in 64 days.
type PlainPeer struct {
	Identity tlsstate.Identity
	// Days is on how many of the last 64 days it came, Last when last.
	Days int
	Last tlsstate.Day
}

// Census counts what is remembered, now and then. That takes a walk, because
// whether a pin holds is derived and never stored.
type Census struct {
	// All walks through the memory, as [store.File.All] does. Required.
	All func(start tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error)
	// Rules are today's for a kind of identity. Required.
	Rules func(tlsstate.Kind) *tlsstate.Rules

	last atomic.Pointer[Count]
}

// Last returns the newest count: the zero one before the first walk ended.
func (c *Census) Last() Count {
	if n := c.last.Load(); n != nil {
		return *n
	}
	return Count{}
}

// Count counts now. The count before stays if it fails.
func (c *Census) Count(ctx context.Context) error {
	var n Count
	today := tlsstate.DayOf(time.Now())
	all, failed := c.All(tlsstate.Identity{})
	for id, h := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		n.add(id, &h, c.Rules(id.Kind).Default(), today)
	}
	if err := failed(); err != nil {
		return fmt.Errorf("walking through the memory: %w", err)
	}
	n.At = time.Now()
	c.last.Store(&n)
	return nil
}

func (n *Count) add(id tlsstate.Identity, h *tlsstate.History, rule *tlsstate.Policy, today tlsstate.Day) {
	if h.Tombstone() || id.Kind < tlsstate.Address || id.Kind > tlsstate.LastKind {
		return
	}
	n.Known[id.Kind]++
	if h.TopPin(rule, today) > tlsstate.Plaintext {
		n.Pinned[id.Kind]++
	}
	if id.Kind == tlsstate.Address || id.Kind == tlsstate.Domain {
		n.plain(PlainPeer{Identity: id, Days: plainDays(h, today), Last: h.Last})
	}
}

// plainDays is on how many days of the last 64 a peer without TLS came in
// clear; 0 for one with TLS.
func plainDays(h *tlsstate.History, today tlsstate.Day) int {
	for l := tlsstate.Weak; l <= tlsstate.TLS13; l++ {
		if h.SeenUntil(l, today) != 0 {
			return 0
		}
	}
	return bits.OnesCount64(h.SeenUntil(tlsstate.Plaintext, today))
}

// plain keeps the peer if it is among the first maxPlain.
func (n *Count) plain(p PlainPeer) {
	if p.Days == 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(n.Plain, p, func(a, b PlainPeer) int {
		return cmp.Or(b.Days-a.Days, int(b.Last)-int(a.Last), cmp.Compare(a.Identity.Kind, b.Identity.Kind), cmp.Compare(a.Identity.Name, b.Identity.Name))
	})
	if at >= maxPlain {
		return
	}
	n.Plain = slices.Insert(n.Plain, at, p)
	n.Plain = n.Plain[:min(len(n.Plain), maxPlain)]
}
