package replay

import (
	"errors"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// counts is a report that is being counted.
type counts struct {
	Report
	levels   [tlsstate.TLS13 + 1]Count
	messages [tlsstate.Reject + 1]int
	peers    [tlsstate.Reject + 1]map[tlsstate.Identity]bool
	// gateways are the messages of private addresses, which are not judged.
	gateways map[string]int
}

func newCounts() counts {
	return counts{Report: Report{Reasons: make(map[string]int)}, gateways: make(map[string]int)}
}

func (c *Count) plus(o Count) {
	c.Sessions += o.Sessions
	c.Messages += o.Messages
}

func (c *counts) unknown(why string, n Count) {
	c.Reasons[why] += n.Sessions
	c.Unknown.plus(n)
}

func (c *counts) exempt(s *ratchet.Session, d *ratchet.Decision, n Count) {
	c.Exempt.plus(n)
	const most = 100
	if addr := s.Peer.IP.String(); errors.Is(d.Reason, ratchet.ErrPrivate) && (len(c.gateways) < most || c.gateways[addr] > 0) {
		c.gateways[addr] += n.Sessions
	}
}

// judged counts a session that was judged, and what a downgrade would have met.
func (c *counts) judged(d *ratchet.Decision, n Count) {
	c.Judged.plus(n)
	c.levels[d.Seen.Level].plus(n)
	if d.Outcome != tlsstate.Downgraded {
		return
	}
	c.messages[d.Action] += n.Messages
	if c.peers[d.Action] == nil {
		c.peers[d.Action] = make(map[tlsstate.Identity]bool)
	}
	c.peers[d.Action][d.Identity] = true
}

// sum fills in what follows from what was counted.
func (c *counts) sum() {
	for l := tlsstate.TLS13; ; l-- {
		c.Levels = append(c.Levels, LevelCount{l.String(), c.levels[l]})
		if l == tlsstate.Plaintext {
			break
		}
	}
	if n := c.Judged.Messages; n > 0 {
		c.Encrypted = float64(n-c.levels[tlsstate.Plaintext].Messages) / float64(n)
	}
	c.Actions = []ActionCount{}
	for a := tlsstate.Reject; ; a-- {
		if n := c.messages[a]; n > 0 {
			c.Actions = append(c.Actions, ActionCount{a.String(), n, len(c.peers[a])})
		}
		if a == tlsstate.Observe {
			break
		}
	}
}
