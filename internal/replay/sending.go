package replay

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"tlsratchet/internal/maillog"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// Sent is what a log reports of our own mail, in recipients.
type Sent struct {
	// Levels are the recipients whose mail was sent, by level, the best first;
	// AfterFailure those of them in clear after a failed handshake.
	Levels       []SentCount `json:"levels"`
	AfterFailure uint64      `json:"after_failure"`
	// Unknown: lines of the delivery are missing. Unattributed: its destination is
	// not known, or it went to a relay, a filter or a private address.
	Unknown      uint64 `json:"unknown"`
	Unattributed uint64 `json:"unattributed"`
	// WouldHold are deliveries in clear that action = "hold" would have deferred,
	// Held those that were deferred because TLS was required.
	WouldHold uint64 `json:"would_hold"`
	Held      uint64 `json:"held"`
	// Destinations were seen; Pinned of them have a pin that holds on the last day.
	Destinations int `json:"destinations"`
	Pinned       int `json:"pinned"`
	// Incidents are downgrades of destinations.
	Incidents []*Incident `json:"incidents"`
	// TLSNotLogged: no line is about the TLS of a delivery, so nothing was learned.
	TLSNotLogged bool `json:"tls_not_logged,omitempty"`
	// Relay is the host that takes nearly all mail: then nothing was learned.
	Relay string `json:"relay,omitempty"`
}

// SentCount is the recipients of one level.
type SentCount struct {
	Level      tlsstate.Level `json:"level"`
	Recipients uint64         `json:"recipients"`
}

// sending replays the sending side. It is a [maillog.DeliverySink].
type sending struct {
	*outbound.Outbound
	memory    *memory
	incidents *incidents
	now       time.Time // of the delivery at hand
	latest    tlsstate.Day
	hosts     map[string]int
	all, away int // deliveries, and those that teach nothing for where they went
	// logs are the hosts of ours that log TLS, as a line has shown.
	logs map[string]bool
}

func newSending(o *Options, now time.Time) *sending {
	s := &sending{memory: newMemory(), incidents: newIncidents(&o.Breaker), latest: tlsstate.DayOf(now) + 1, hosts: make(map[string]int), logs: make(map[string]bool)}
	s.Outbound = outbound.New(outbound.Options{
		Histories: s.memory, Settings: o.Sending, Events: s.event,
		Now: func() time.Time { return s.now }, Log: slog.New(slog.DiscardHandler),
	})
	return s
}

// Delivered judges and learns from a delivery.
func (s *sending) Delivered(d *maillog.Delivery) {
	if tlsstate.DayOf(d.At) > s.latest || d.Status == 0 {
		return
	}
	s.now = d.At
	switch d.TLS { // before its first line of TLS a log may be one without any
	case maillog.Encrypted:
		s.logs[d.From] = true
	case maillog.Clear:
		if !s.logs[d.From] {
			d.TLS = maillog.TLSUnknown
		}
	}
	if outbound.IsInside(d) {
		s.away++
		return
	}
	const most = 1 << 14
	if s.all++; len(s.hosts) < most || s.hosts[d.Host] > 0 {
		s.hosts[d.Host]++
	}
	s.Outbound.Delivered(d)
}

func (s *sending) event(e ratchet.Event) {
	if e.Decision.Outcome == tlsstate.Downgraded {
		s.incidents.downgrade(e.Session, e.Decision, e.Session.Peer.Host, 1)
	} else {
		s.incidents.met(e.Decision)
	}
}

// relay returns the host that takes nearly all mail: its TLS is not that of the
// destinations behind it.
func (s *sending) relay(destinations int) string {
	const least, few = 20, 3
	for host, n := range s.hosts {
		if host != "" && s.all >= least && destinations >= few && n*10 >= s.all*9 {
			return host
		}
	}
	return ""
}

// sent returns what was found, and what was learned.
func (s *sending) sent(rules *tlsstate.Rules) (*Sent, map[tlsstate.Identity]tlsstate.History) {
	if s.all+s.away == 0 {
		return nil, nil
	}
	stats := s.Stats()
	r := &Sent{
		AfterFailure: stats.AfterFailure, Unknown: stats.Unknown, Unattributed: stats.Unattributed + uint64(s.away),
		WouldHold: stats.WouldHold, Held: stats.Held, Incidents: s.incidents.list,
		TLSNotLogged: len(s.logs) == 0 && stats.Unknown > 0,
	}
	for l := len(stats.Sent) - 1; l >= 0; l-- {
		r.Levels = append(r.Levels, SentCount{tlsstate.Level(l), stats.Sent[l]})
	}
	r.Destinations, r.Pinned = s.memory.count(tlsstate.Destination, rules.Default(), tlsstate.DayOf(s.now))
	if r.Relay = clip(s.relay(r.Destinations)); r.Relay != "" {
		return r, nil
	}
	return r, s.memory.learned()
}

// writeText writes the table of our own mail.
func (s *Sent) writeText(w io.Writer) {
	row := func(name string, n uint64) {
		if n > 0 {
			fmt.Fprintf(w, "%-31s%14s\n", name, words.Number(n))
		}
	}
	fmt.Fprintf(w, "\n%-31s%14s\n", "sent", "recipients")
	for _, l := range s.Levels {
		row(l.Level.String(), l.Recipients)
	}
	row("none after a failed handshake", s.AfterFailure)
	row("TLS unknown", s.Unknown)
	row("destination not known", s.Unattributed)
	row("deferred: TLS was required", s.Held)
	row("hold would have deferred", s.WouldHold)
	fmt.Fprintf(w, "%-31s%14s%14s\n", "destinations, pinned", words.Number(s.Destinations), words.Number(s.Pinned))
	if s.TLSNotLogged {
		io.WriteString(w, wrap("Note: no line is about the TLS of a delivery: set smtp_tls_loglevel = 1 in main.cf. Nothing was learned of destinations."))
	}
	if s.Relay != "" {
		io.WriteString(w, wrap("Note: nearly all mail goes by way of "+s.Relay+", so nothing was learned of the destinations behind it."))
	}
}
