package replay

import (
	"maps"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// tally is what one worker counts.
type tally struct {
	Unknown, Authenticated, Exempt, Unreadable Count

	all        Count
	levels     [4]Count
	noSTARTTLS int // sessions
	messages   [tlsstate.Reject + 1]int
	peers      [tlsstate.Reject + 1]map[tlsstate.Identity]bool
}

func (t *tally) judged(c *cell, level tlsstate.Level) {
	t.all.add(c)
	t.levels[level].add(c)
}

// acted books what a downgrade would have met.
func (t *tally) acted(d *ratchet.Decision, c *cell) {
	t.messages[d.Action] += int(c.messages)
	if t.peers[d.Action] == nil {
		t.peers[d.Action] = make(map[tlsstate.Identity]bool)
	}
	t.peers[d.Action][d.Identity] = true
}

// join adds what another worker counted.
func (t *tally) join(o *tally) {
	for to, from := range map[*Count]Count{
		&t.Unknown: o.Unknown, &t.Authenticated: o.Authenticated, &t.Exempt: o.Exempt, &t.Unreadable: o.Unreadable, &t.all: o.all,
	} {
		to.plus(from)
	}
	for l := range t.levels {
		t.levels[l].plus(o.levels[l])
	}
	t.noSTARTTLS += o.noSTARTTLS
	for a := range t.messages {
		t.messages[a] += o.messages[a]
		if t.peers[a] == nil {
			t.peers[a] = make(map[tlsstate.Identity]bool)
		}
		maps.Copy(t.peers[a], o.peers[a])
	}
}

func (c *Count) add(of *cell) { c.plus(Count{int(of.sessions), int(of.messages)}) }

func (c *Count) plus(o Count) {
	c.Sessions += o.Sessions
	c.Messages += o.Messages
}

// take fills in what was counted.
func (r *Report) take(t *tally) {
	r.Unknown, r.Authenticated, r.Exempt, r.Unreadable = t.Unknown, t.Authenticated, t.Exempt, t.Unreadable
	r.Judged = t.all
	if t.noSTARTTLS > 0 {
		r.Reasons["no TLS was logged at this listener before"] = t.noSTARTTLS
	}
	for l := tlsstate.TLS13; ; l-- {
		r.Levels = append(r.Levels, LevelCount{l.String(), t.levels[l]})
		if l == tlsstate.Plaintext {
			break
		}
	}
	if n := r.Judged.Messages; n > 0 {
		r.Encrypted = float64(n-t.levels[tlsstate.Plaintext].Messages) / float64(n)
	}
	for a := tlsstate.Reject; ; a-- {
		if n := t.messages[a]; n > 0 {
			r.Actions = append(r.Actions, ActionCount{a.String(), n, len(t.peers[a])})
		}
		if a == tlsstate.Observe {
			break
		}
	}
}
