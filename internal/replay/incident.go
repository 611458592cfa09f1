package replay

import (
	"net/netip"
	"time"

	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
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
	Kind tlsstate.Downgrade `json:"kind"`
	// Days is on how many of the 64 days before the pin was met, and Since the
	// day that it formed; 0 and "never" for a level that is required.
	Days  int    `json:"days"`
	Since string `json:"since"`
	// Pin is the level, or "certificate", that was expected, and Seen what
	// came at first.
	Pin  string `json:"pin"`
	Seen string `json:"seen"`
	// Messages came so. Action is the strongest that they met.
	Messages int             `json:"messages"`
	Action   tlsstate.Action `json:"action"`
	// Fault is why this looks like our own fault, or empty.
	Fault string `json:"fault,omitempty"`

	name string // the domain, or the network
}

// The values of [Incident.Fault].
const (
	// FaultHandshake: the peer tried STARTTLS, and that failed.
	FaultHandshake = "its TLS handshake with us failed just before"
	// FaultMany: as many peers as trip the breaker downgraded within its window.
	FaultMany = "many peers at once"
	// FaultOutage: many peers came in clear, and none encrypted in between.
	FaultOutage = "no session was encrypted at that time"
)

const quiet = 24 * time.Hour

// incidents gathers downgrades.
type incidents struct {
	open map[tlsstate.Identity]*Incident
	list []*Incident // never nil
	// first is the first incident of the window that ends with the last; names are
	// those of the incidents in it.
	first  int
	names  map[string]int
	most   int
	window time.Duration
}

func newIncidents(o *ratchet.BreakerOptions) *incidents {
	return &incidents{open: make(map[tlsstate.Identity]*Incident), list: []*Incident{}, names: make(map[string]int), most: o.Domains, window: o.Window}
}

// met closes the incident of an identity that met its pin.
func (in *incidents) met(d *ratchet.Decision) {
	if d.Outcome == tlsstate.Steady || d.Outcome == tlsstate.Raised {
		delete(in.open, d.Identity)
	}
}

// downgrade adds messages to the incident of their peer.
func (in *incidents) downgrade(s *ratchet.Session, d *ratchet.Decision, client string, messages int) *Incident {
	i := in.open[d.Identity]
	if i == nil || s.At.Sub(i.Last) > quiet {
		i = newIncident(s, d, client)
		in.open[d.Identity] = i
		in.add(i)
	}
	i.Last = s.At
	i.Messages += messages
	i.Action = max(i.Action, d.Action)
	return i
}

// add adds an incident, and marks those of the window if too many names have one.
func (in *incidents) add(i *Incident) {
	in.list = append(in.list, i)
	in.names[i.name]++
	for i.Began.Sub(in.list[in.first].Began) > in.window {
		gone := in.list[in.first].name
		if in.names[gone]--; in.names[gone] == 0 {
			delete(in.names, gone)
		}
		in.first++
	}
	if len(in.names) > in.most {
		for _, i := range in.list[in.first:] {
			if i.Fault != FaultHandshake {
				i.Fault = FaultMany
			}
		}
	}
}

// mark marks the incidents that began since an outage did.
func (in *incidents) mark(since time.Time) {
	for n := len(in.list) - 1; n >= 0 && !in.list[n].Began.Before(since); n-- {
		if in.list[n].Fault == "" {
			in.list[n].Fault = FaultOutage
		}
	}
}

func newIncident(s *ratchet.Session, d *ratchet.Decision, client string) *Incident {
	pin, came := words.Compared(&d.Verdict)
	return &Incident{
		Identity: clip(d.Identity.String()), Client: clientText(client, s.Peer.IP),
		Began: s.At, Last: s.At, Kind: d.Kind, Days: d.Days, Since: d.Since.String(),
		Pin: pin, Seen: clip(came),
		Action: d.Action, name: s.BreakerName().Name,
	}
}

// clientText is a client as Postfix logs it; a delivery that was not tried has no
// address.
func clientText(name string, ip netip.Addr) string {
	if !ip.IsValid() {
		return clip(name)
	}
	return clip(name) + "[" + ip.String() + "]"
}
