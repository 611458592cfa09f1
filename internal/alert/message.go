package alert

import (
	"crypto/rand"
	"time"

	"tlsratchet/internal/incident"
)

// Version is that of the JSON form of a [Message], which docs/alerts.md
// describes. Fields may be added within a version.
const Version = 1

// Status tells whether what a message is about goes on.
type Status string

// The statuses.
const (
	// StatusOpen and StatusClosed are of what opens and closes: incidents, and
	// notices.
	StatusOpen   Status = "open"
	StatusClosed Status = "closed"
	// StatusNone is of what only happens.
	StatusNone Status = "none"
)

// What a message is about, where it is not a change of an incident.
const (
	WhatNotice = "notice"
	WhatDigest = "digest"
	WhatTest   = "test"
)

// Message is what a destination is given: the data of a template, and in its
// JSON form the body of a webhook. Its texts are clean, and hold no character
// that means something in the markup of the usual chats.
type Message struct {
	Version int `json:"version"`
	// ID is of this message alone, and the same each time it is tried.
	ID string `json:"id"`
	// Key is of all messages on the same matter, at one host: "incident-17".
	Key      string   `json:"key"`
	Status   Status   `json:"status"`
	What     string   `json:"what"`
	Severity Severity `json:"severity"`
	// Host is who tells: the mail server.
	Host string    `json:"host"`
	At   time.Time `json:"at"`
	// Title is one line of at most 150 characters, Text several of at most 2,500 in
	// all.
	Title string `json:"title"`
	Text  string `json:"text"`
	// Next are commands for whoever wants to look, or to act.
	Next []string `json:"next,omitempty"`
	// Incident is the incident as it was then, if it is about one.
	Incident *incident.Incident `json:"incident,omitempty"`
	// Digest counts what was held back, if it is about that.
	Digest *Digest `json:"digest,omitempty"`
}

// Digest counts the messages that were held back.
type Digest struct {
	// Since is when the first of them was.
	Since    time.Time `json:"since"`
	Messages uint64    `json:"messages"`
	// By counts them by what they are about, BySeverity by severity.
	By         map[string]uint64 `json:"by"`
	BySeverity map[string]uint64 `json:"by_severity"`
	// Few are the titles of the first few.
	Few []string `json:"few"`
}

// Notice is something to tell that is no incident: the breaker, the self-check.
type Notice struct {
	// Key names the matter, in lower-case words: "breaker". A notice that says
	// what the last one of its key said is not told again within a day, and that
	// it is over only if it was told.
	Key      string
	Severity Severity
	// Title says in one line what is the matter, Text what follows from it.
	Title, Text string
	// Next are commands that help.
	Next []string
	// At is when it was found out; zero for now.
	At time.Time
	// Resolved says that it is over.
	Resolved bool
}

const (
	maxTitle = 150
	maxText  = 2500
)

func newMessage(host, key, what string, status Status, s Severity, at time.Time) *Message {
	return &Message{Version: Version, ID: rand.Text(), Key: key, Status: status, What: what, Severity: s, Host: host, At: at.UTC()}
}

func (n *Notice) message(host string) *Message {
	status := StatusOpen
	if n.Resolved {
		status = StatusClosed
	}
	at := n.At
	if at.IsZero() {
		at = time.Now()
	}
	m := newMessage(host, name(n.Key), WhatNotice, status, n.Severity, at)
	m.Title, m.Text = inert(n.Title, maxTitle), lines(n.Text)
	for _, c := range n.Next {
		m.Next = append(m.Next, inert(c, maxTitle))
	}
	return m
}
