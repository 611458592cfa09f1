package replay

import (
	"errors"
	"slices"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// counts is a report that is being counted.
type counts struct {
	Report
	met map[downgraded]bool
	// gateways are the sessions of private addresses, which are not judged.
	gateways map[string]int
}

// downgraded is a peer and an action that its downgrades met.
type downgraded struct {
	tlsstate.Action
	tlsstate.Identity
}

func newCounts() counts {
	c := counts{met: make(map[downgraded]bool), gateways: make(map[string]int)}
	c.Reasons = make(map[string]int)
	for l := tlsstate.TLS13 + 1; l > 0; l-- {
		c.Levels = append(c.Levels, LevelCount{Level: l - 1})
	}
	for a := tlsstate.Reject + 1; a > 0; a-- {
		c.Actions = append(c.Actions, ActionCount{Action: a - 1})
	}
	return c
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
	c.Levels[tlsstate.TLS13-d.Seen.Level].plus(n)
	if d.Outcome != tlsstate.Downgraded {
		return
	}
	a := &c.Actions[tlsstate.Reject-d.Action]
	a.Messages += n.Messages
	if peer := (downgraded{d.Action, d.Identity}); !c.met[peer] {
		c.met[peer] = true
		a.Peers++
	}
}

// finish fills in what follows from what was counted.
func (c *counts) finish() {
	if n := c.Judged.Messages; n > 0 {
		c.Encrypted = float64(n-c.Levels[tlsstate.TLS13].Messages) / float64(n)
	}
	c.Actions = slices.DeleteFunc(c.Actions, func(a ActionCount) bool { return a.Messages == 0 })
	for _, i := range c.Incidents {
		if i.Fault != "" {
			c.OwnFault += i.Messages
		}
	}
	c.warn(c.gateways)
	c.Summary = c.summary()
}
