package ratchet

import (
	"slices"
	"time"
)

// BreakerName returns what a peer counts as: its domain, or its network. A network
// is the /24 of an address, or its /32 of IPv6, for whoever has one has 65,536 of
// /48.
func (s *Session) BreakerName() BreakerName {
	bits := 32
	if s.Peer.IP.Is4() {
		bits = 24
	}
	network, _ := s.Peer.IP.Prefix(bits) // none for no address
	n := BreakerName{Name: s.Peer.Domain.Name, Network: network.String(), At: s.At}
	if n.Name == "" {
		n.Name = n.Network
	}
	return n
}

// addName adds a name that is new to the list, as a domain and as a network, or
// notes that it came again. Of more than most the one that came longest ago goes.
func addName(l *[]BreakerName, n BreakerName, most int) {
	for i := range *l {
		known := &(*l)[i]
		if known.Name == n.Name {
			known.At = n.At
			return
		}
		if n.Network != "" && known.Network == n.Network {
			return
		}
	}
	if len(*l) >= most {
		oldest := 0
		for i := range *l {
			if (*l)[i].At.Before((*l)[oldest].At) {
				oldest = i
			}
		}
		*l = slices.Delete(*l, oldest, oldest+1)
	}
	*l = append(*l, n)
}

// expire removes what came longer ago than window, or that far ahead: a clock
// that jumped leaves nothing behind.
func expire(l *[]BreakerName, now time.Time, window time.Duration) {
	*l = slices.DeleteFunc(*l, func(n BreakerName) bool { return now.Sub(n.At).Abs() > window })
}
