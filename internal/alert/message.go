package alert

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/incident"
	"tlsratchet/tlsstate"
)

// Version is that of the JSON form of a [Message], which docs/alerts.md
// describes. Fields may be added within a version.
const Version = 1

// Status is whether the matter of a message is open.
type Status string

// The statuses.
const (
	// StatusOpen and StatusClosed are those of incidents and notices.
	StatusOpen   Status = "open"
	StatusClosed Status = "closed"
	// StatusNone is that of single events.
	StatusNone Status = "none"
)

// Values of [Message.What] that are no change of an incident.
const (
	WhatNotice = "notice"
	WhatDigest = "digest"
	WhatTest   = "test"
)

// Message is what a destination gets: the data of a template, and in its JSON
// form the body of a webhook. Its texts are clean, and without the characters
// that are markup in the usual chats.
type Message struct {
	Version int `json:"version"`
	// ID identifies the message; it is the same each time it is tried.
	ID string `json:"id"`
	// Key identifies the matter at one host: "incident-17".
	Key      string   `json:"key"`
	Status   Status   `json:"status"`
	What     string   `json:"what"`
	Severity Severity `json:"severity"`
	// Host is the mail server that sends it.
	Host string    `json:"host"`
	At   time.Time `json:"at"`
	// Title is one line of at most 150 characters, Text several of at most 2,500 in
	// all.
	Title string `json:"title"`
	Text  string `json:"text"`
	// Next are commands that show more, or that act.
	Next []string `json:"next,omitempty"`
	// Incident is the incident as it was then, if the message is about one.
	Incident *incident.Incident `json:"incident,omitempty"`
	// Digest counts what was held back, if the message is a digest.
	Digest *Digest `json:"digest,omitempty"`
}

// Digest counts the messages that were held back.
type Digest struct {
	// Since is the time of the first of them.
	Since    time.Time `json:"since"`
	Messages uint64    `json:"messages"`
	// By counts them by [Message.What], BySeverity by severity.
	By         map[string]uint64 `json:"by"`
	BySeverity map[string]uint64 `json:"by_severity"`
	// Few are the titles of those with the strongest evidence.
	Few []string `json:"few"`
}

// Urgency is the severity to show: that it is over is info, however severe the
// matter was.
func (m *Message) Urgency() Severity {
	if m.Status == StatusClosed {
		return Info
	}
	return m.Severity
}

const (
	maxTitle = 150
	maxText  = 2500
)

// from returns the message as a host sends it: cleaned, and with an ID of its own
// unless it has one. Its time is now unless set, and it is a single event unless it
// has a status.
func (m Message) from(host string) *Message {
	m.Version, m.ID, m.Host = Version, cmp.Or(clean.Name(m.ID), rand.Text()), host
	m.Status, m.Key = cmp.Or(m.Status, StatusNone), clean.Name(m.Key)
	if m.At.IsZero() {
		m.At = time.Now()
	}
	m.At, m.Title, m.Text = m.At.UTC(), inert(m.Title, maxTitle), lines(m.Text)
	m.Next = slices.Clone(m.Next)
	for i, c := range m.Next {
		m.Next[i] = inert(c, maxText)
	}
	return &m
}

// inert returns one line of clean text without markup: what would be a mention, a
// link or emphasis in a chat becomes '?'.
func inert(s string, most int) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("<>@*`|#!\"&\\~$^{}[]", r) {
			return '?'
		}
		return r
	}, clean.Text(s, most-len("...")))
}

// lines is inert for a text of several lines.
func lines(s string) string {
	var all []string
	for line := range strings.SplitSeq(s, "\n") {
		all = append(all, inert(line, maxText))
	}
	joined := strings.Join(all, "\n")
	if len(joined) <= maxText {
		return joined
	}
	return joined[:maxText-len("...")] + "..."
}

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

// Severities are the names of the severities, the least first.
var Severities = [...]string{"info", "warning", "critical"}

// String returns the severity in lower case.
func (s Severity) String() string { return Severities[min(int(s), len(Severities)-1)] }

// MarshalText returns the severity in lower case.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText. The error lists the severities.
func (s *Severity) UnmarshalText(text []byte) error {
	i := slices.Index(Severities[:], string(text))
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
	case i.Identity.Kind == tlsstate.Destination, i.Cap > tlsstate.Header:
		return Warning
	}
	return Info
}
