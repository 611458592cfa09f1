package alert

import (
	"fmt"

	"tlsratchet/internal/incident"
	"tlsratchet/tlsstate"
)

// Severity ranks what is told.
type Severity uint8

// The severities.
const (
	// Info is what nobody must act on: thin evidence, which leads to a header
	// at most, and pins that formed, lapsed or were released.
	Info Severity = iota
	// Warning is good evidence: a broad domain's address that was never seen
	// with TLS.
	Warning
	// Critical is the best there is, an address that used TLS itself; or the
	// breaker.
	Critical
)

var severityNames = [...]string{"info", "warning", "critical"}

// String returns the severity in lower case.
func (s Severity) String() string { return severityNames[min(int(s), len(severityNames)-1)] }

// ParseSeverity is the inverse of [Severity.String]. The error says what would
// have been right.
func ParseSeverity(s string) (Severity, error) {
	for i, name := range severityNames {
		if s == name {
			return Severity(i), nil
		}
	}
	return 0, fmt.Errorf("unknown severity %.32q: use info, warning or critical", s)
}

// MarshalText returns the severity in lower case.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *Severity) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSeverity(string(text))
	return err
}

// Of returns the severity of an incident. What is done to its mail doesn't
// count, for by default that is a header; but who only observes client
// certificates need not hear of them.
func Of(i *incident.Incident) Severity {
	switch {
	case i.KnownPlaintext, i.Kind == tlsstate.Unauthenticated && onlyObserved(i):
		return Info
	case i.Identity.Kind == tlsstate.Address:
		return Critical
	case i.Cap > tlsstate.Header:
		return Warning
	}
	return Info
}

func onlyObserved(i *incident.Incident) bool {
	for a := int(tlsstate.Header); a < len(i.Done); a++ {
		if i.Done[a] > 0 {
			return false
		}
	}
	return true
}
