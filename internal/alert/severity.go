package alert

import (
	"fmt"
	"slices"

	"tlsratchet/internal/incident"
	"tlsratchet/tlsstate"
)

// Severity ranks messages.
type Severity uint8

// The severities.
const (
	// Info needs no action: weak evidence, for which mail gets a header at most,
	// and pins that formed, lapsed or were released.
	Info Severity = iota
	// Warning is good evidence: an address of a broad domain that was never seen
	// with TLS.
	Warning
	// Critical is the strongest evidence, an address that used TLS itself; or the
	// breaker.
	Critical
)

var severityNames = [...]string{"info", "warning", "critical"}

// String returns the severity in lower case.
func (s Severity) String() string { return severityNames[min(int(s), len(severityNames)-1)] }

// MarshalText returns the severity in lower case.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText. The error lists the severities.
func (s *Severity) UnmarshalText(text []byte) error {
	i := slices.Index(severityNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("unknown severity %.32q: use info, warning or critical", text)
	}
	*s = Severity(i)
	return nil
}

// Of returns the severity of an incident. It does not depend on the action, which
// is only a header by default; except that missing client certificates which are
// only observed are info.
func Of(i *incident.Incident) Severity {
	switch {
	case i.KnownPlaintext, i.Kind == tlsstate.Unauthenticated && i.Strongest() == tlsstate.Observe:
		return Info
	case i.Identity.Kind == tlsstate.Address, i.Identity.Kind == tlsstate.Destination && holds(i):
		return Critical
	case i.Identity.Kind == tlsstate.Destination:
		return Warning
	case i.Cap > tlsstate.Header:
		return Warning
	}
	return Info
}
