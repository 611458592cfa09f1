package replay

import (
	"fmt"
	"time"

	"tlsratchet/internal/maillog"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// verdict is a line of --verdicts: the judgement of messages that one session
// sent.
type verdict struct {
	At       time.Time `json:"at"`
	Client   string    `json:"client"`
	Messages int       `json:"messages"`
	Seen     string    `json:"seen"`
	Outcome  string    `json:"outcome"`
	Kind     string    `json:"kind,omitempty"`
	Identity string    `json:"identity"`
	Pin      string    `json:"pin,omitempty"`
	Action   string    `json:"action,omitempty"`
}

func (r *replay) verdict(m *maillog.Session, s *ratchet.Session, d *ratchet.Decision) {
	if r.verdicts == nil {
		return
	}
	v := verdict{
		At: m.At, Client: clientText(m.Client.Name, s.Peer.IP), Messages: m.Messages,
		Seen: clip(d.Seen.Words()), Outcome: d.Outcome.String(), Identity: clip(d.Identity.String()),
	}
	if d.Pin > tlsstate.Plaintext {
		v.Pin = d.Pin.String()
	}
	if d.Outcome == tlsstate.Downgraded {
		v.Kind, v.Action = d.Kind.String(), d.Action.String()
		v.Pin, _ = words.Compared(&d.Verdict)
	}
	if err := r.verdicts.Encode(&v); err != nil {
		r.verdicts = nil
		r.cancel(fmt.Errorf("writing the verdicts: %w", err))
	}
}
