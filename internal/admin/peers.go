package admin

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/xrash/smetrics"

	"tlsratchet/internal/clean"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store/shared"
)

func (l *Local) peers(ctx context.Context, q Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		today, n := l.today(), 0
		if q.Addresses {
			q.Kind = tlsstate.Address
		}
		seq, failed := l.Memory.All(tlsstate.Identity{Kind: q.Kind})
		for id, h := range seq {
			if err := ctx.Err(); err != nil {
				yield(Row{}, err)
				return
			}
			if q.Kind != 0 && id.Kind > q.Kind {
				return
			}
			rule := l.Rules(id.Kind).Default()
			if !q.wants(id, &h, rule, today) {
				continue
			}
			if !yield(row(id, h, rule, today), nil) {
				return
			}
			if n++; n == q.Limit {
				return
			}
		}
		if err := failed(); err != nil {
			yield(Row{}, fmt.Errorf("reading the memory: %w", err))
		}
	}
}

func (q *Query) wants(id tlsstate.Identity, h *tlsstate.History, rule *tlsstate.Policy, today tlsstate.Day) bool {
	if h.Tombstone() || q.Kind == 0 && id.Kind >= tlsstate.Listener || q.Kind != 0 && id.Kind != q.Kind {
		return false
	}
	name := id.Name
	if q.Addresses {
		name = h.Name.Text
	}
	if q.Below != "" && name != q.Below && !strings.HasSuffix(name, "."+q.Below) {
		return false
	}
	if q.Leveled && !isBest(q.Level, h, today) {
		return false
	}
	if !q.Pinned && !q.Released && !q.Downgraded {
		return true
	}
	top, state := topPin(h, rule, today)
	pinned, holds := top > tlsstate.Plaintext, state == tlsstate.PinHolds
	return q.Pinned && holds || q.Released && pinned && !holds || q.Downgraded && below(h, rule, today)
}

// isBest reports whether a level is the best one seen in the 64 days up to today.
func isBest(level tlsstate.Level, h *tlsstate.History, today tlsstate.Day) bool {
	for l := tlsstate.TLS13; l > level; l-- {
		if h.SeenUntil(l, today) != 0 {
			return false
		}
	}
	return h.SeenUntil(level, today) != 0
}

// below reports whether the peer was seen below a pin that holds since that was
// last met, or on the same day: which came last, days don't tell.
func below(h *tlsstate.History, rule *tlsstate.Policy, today tlsstate.Day) bool {
	var seen uint64
	for l := tlsstate.Weak; l <= tlsstate.TLS13; l++ {
		seen |= h.Seen[l-1]
		since := min(int(h.Last)-int(h.Pin(l).Met), 63)
		if seen<<(63-since) != 0 && h.Holds(l, rule, today) {
			return true
		}
	}
	return false
}

const (
	// suggestions is how many near names an unknown one is answered with, and
	// searched how many names are looked at for them.
	suggestions = 3
	searched    = 500_000
)

// hosts is a memory of several hosts: [shared.Whole].
type hosts interface {
	// Here lists what this one knows: a slip of an operator's must not fetch all
	// that there is.
	Here(start tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error)
	// Unread returns the key of a record from which this one does not learn, nor
	// others from it.
	Unread(id tlsstate.Identity) (key string)
}

var _ hosts = shared.Whole{}

// unknown returns the error for a peer without a history, with names that are
// near it.
func (l *Local) unknown(id tlsstate.Identity) error {
	err := fmt.Errorf("%w: %s", ErrUnknownPeer, clean.Text(id.String(), 300))
	if near := l.near(id); len(near) > 0 {
		err = fmt.Errorf("%w; similar names: %s", err, strings.Join(near, ", "))
	}
	return err
}

// here lists what this host knows of a kind, but no more than is searched.
func (l *Local) here(kind tlsstate.Kind) iter.Seq2[tlsstate.Identity, tlsstate.History] {
	all := l.Memory.All
	if m, ok := l.Memory.(hosts); ok {
		all = m.Here
	}
	return func(yield func(tlsstate.Identity, tlsstate.History) bool) {
		seq, _ := all(tlsstate.Identity{Kind: kind})
		n := 0
		for id, h := range seq {
			if n++; id.Kind != kind || n > searched || !yield(id, h) {
				return
			}
		}
	}
}

// near returns identities whose names are near one.
func (l *Local) near(id tlsstate.Identity) (near []string) {
	for other, h := range l.here(id.Kind) {
		if !h.Tombstone() && similar(id.Name, other.Name) {
			near = append(near, other.String())
		}
		if len(near) == suggestions {
			break
		}
	}
	return near
}

// stillPinned says which pins an operator who dropped that of a domain may have
// overlooked: those of its addresses.
func (l *Local) stillPinned(domain string) (words []string) {
	rule, today, n := l.Rules(tlsstate.Address).Default(), l.today(), 0
	q := Query{Kind: tlsstate.Address, Addresses: true, Below: domain, Pinned: true}
	for id, h := range l.here(tlsstate.Address) {
		if q.wants(id, &h, rule, today) {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("Its addresses that hold a pin of their own: %d; tlsratchet peers --domain %s --addresses --pinned lists them.", n, domain)}
}

// similar reports whether two names are one within the other, or at most two
// edits apart.
func similar(a, b string) bool {
	if len(a) >= 4 && strings.Contains(b, a) || len(b) >= 4 && strings.Contains(a, b) {
		return true
	}
	return len(a) > 4 && smetrics.WagnerFischer(a, b, 1, 1, 1) <= 2
}
