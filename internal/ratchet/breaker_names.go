package ratchet

import (
	"cmp"
	"slices"
	"time"

	"tlsratchet/internal/peer"
)

// BreakerName returns what a peer counts as: its domain, or its network. A network
// is the /24 of an address, or its /32 of IPv6, for whoever has one has 65,536 of
// /48.
func (s *Session) BreakerName() BreakerName {
	network := peer.Prefix(s.Peer.IP, 24, 32).String()
	return BreakerName{Name: cmp.Or(s.Peer.Domain.Name, network), Network: network, At: s.At}
}

// addName adds a name that is new to the list, as a domain and as a network, or
// notes that it came again. Of more than most the one that came longest ago goes.
func addName(l *[]BreakerName, n BreakerName, most int) {
	same := func(known BreakerName) bool {
		return known.Name == n.Name || n.Network != "" && known.Network == n.Network
	}
	if i := slices.IndexFunc(*l, same); i >= 0 {
		if known := &(*l)[i]; known.Name == n.Name {
			known.At = n.At
		}
		return
	}
	if len(*l) >= most {
		oldest := slices.MinFunc(*l, func(a, b BreakerName) int { return a.At.Compare(b.At) })
		i := slices.Index(*l, oldest)
		*l = slices.Delete(*l, i, i+1)
	}
	*l = append(*l, n)
}

// expire removes what came longer ago than window, or that far ahead: a clock
// that jumped leaves nothing behind.
func expire(l *[]BreakerName, now time.Time, window time.Duration) {
	*l = slices.DeleteFunc(*l, func(n BreakerName) bool { return now.Sub(n.At).Abs() > window })
}
