package replay

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tlsratchet/internal/maillog"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// Incident is downgrades of one peer: from the first until a pin is met again,
// or until 24 hours have passed without one.
type Incident struct {
	// Identity is what was held to a pin, as "address:192.0.2.10".
	Identity string `json:"identity"`
	// Client is the client that came first, as "mx1.bank.example[192.0.2.10]".
	Client string    `json:"client"`
	Began  time.Time `json:"began"`
	Last   time.Time `json:"last"`
	// Kind is stripped, weakened or unauthenticated.
	Kind string `json:"kind"`
	// Days is on how many of the 64 days before the pin was met, and Since the
	// day that it formed; 0 and "never" for a level that is required.
	Days  int    `json:"days"`
	Since string `json:"since"`
	// Pin is the level, or "certificate", that was expected, and Seen what
	// came at first.
	Pin  string `json:"pin"`
	Seen string `json:"seen"`
	// Messages came so. Action is the strongest that they met.
	Messages int    `json:"messages"`
	Action   string `json:"action"`
	// Fault says why this looks like our own fault, or is empty.
	Fault string `json:"fault,omitempty"`

	action tlsstate.Action
	name   string // the domain, or the network
}

// The values of [Incident.Fault].
const (
	// FaultHandshake: the peer tried STARTTLS, and that failed.
	FaultHandshake = "its TLS handshake with us failed just before"
	// FaultMany: many peers downgraded within ten minutes.
	FaultMany = "many peers at once"
)

const (
	quiet      = 24 * time.Hour
	manyWindow = 10 * time.Minute
	manyNames  = 10
)

// incidents gathers downgrades.
type incidents struct {
	open map[tlsstate.Identity]*Incident
	list []*Incident
}

func newIncidents() *incidents { return &incidents{open: make(map[tlsstate.Identity]*Incident)} }

// met closes the incident of an identity that met its pin.
func (in *incidents) met(d *ratchet.Decision) {
	if d.Outcome == tlsstate.Steady || d.Outcome == tlsstate.Raised {
		delete(in.open, d.Identity)
	}
}

func (in *incidents) downgrade(s *ratchet.Session, d *ratchet.Decision, c *maillog.Client, messages int, failed bool) {
	i := in.open[d.Identity]
	if i == nil || s.At.Sub(i.Last) > quiet {
		i = newIncident(s, d, c)
		in.open[d.Identity] = i
		in.list = append(in.list, i)
	}
	i.Last = s.At
	i.Messages += messages
	if d.Action > i.action {
		i.action, i.Action = d.Action, d.Action.String()
	}
	if failed {
		i.Fault = FaultHandshake
	}
}

func newIncident(s *ratchet.Session, d *ratchet.Decision, c *maillog.Client) *Incident {
	i := &Incident{
		Identity: clip(d.Identity.String()), Client: clip(c.Name) + "[" + s.Peer.IP.String() + "]",
		Began: s.At, Last: s.At, Kind: d.Kind.String(), Days: d.Days, Since: d.Since.String(),
		Pin: d.Pin.String(), Seen: clip(d.Seen.Words()),
		action: d.Action, Action: d.Action.String(), name: s.Peer.Domain.Name,
	}
	if d.Kind == tlsstate.Unauthenticated {
		i.Pin, i.Seen = "certificate", "none"
	}
	if i.name == "" {
		i.name = network(s.Peer.IP)
	}
	return i
}

func network(ip netip.Addr) string {
	bits := 32
	if ip.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(ip, bits).Masked().String()
}

// all returns the incidents by their beginning, and marks those of many names
// at once.
func (in *incidents) all() []Incident {
	slices.SortFunc(in.list, func(a, b *Incident) int {
		return cmp.Or(a.Began.Compare(b.Began), strings.Compare(a.Identity, b.Identity))
	})
	names := make(map[string]int) // in the window from first to last
	first, marked := 0, 0
	for last, i := range in.list {
		names[i.name]++
		for i.Began.Sub(in.list[first].Began) > manyWindow {
			gone := in.list[first].name
			if names[gone]--; names[gone] == 0 {
				delete(names, gone)
			}
			first++
		}
		if len(names) > manyNames {
			for ; marked <= last; marked++ {
				if marked >= first && in.list[marked].Fault == "" {
					in.list[marked].Fault = FaultMany
				}
			}
		}
	}
	all := make([]Incident, len(in.list))
	for n, i := range in.list {
		all[n] = *i
	}
	return all
}
