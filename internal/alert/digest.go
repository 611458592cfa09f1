package alert

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// few is how many titles a digest names.
const few = 10

// held collects messages for a digest.
type held struct {
	since      time.Time
	messages   uint64
	by         map[string]uint64
	bySeverity map[string]uint64
	worst      Severity
	// few are those with the strongest evidence, strongest first, one of each
	// matter: whoever makes many weak alerts must not hide the one that counts.
	few []*Message
}

// add adds a message.
func (h *held) add(m *Message, now time.Time) {
	if h.messages == 0 {
		*h = held{since: now, by: make(map[string]uint64), bySeverity: make(map[string]uint64)}
	}
	h.messages++
	h.by[m.What]++
	h.bySeverity[m.Severity.String()]++
	h.worst = max(h.worst, m.Severity)
	h.few = slices.DeleteFunc(h.few, func(o *Message) bool { return o.Key == m.Key })
	at, _ := slices.BinarySearchFunc(h.few, m, func(o, m *Message) int {
		return cmp.Or(byStrength(o, m), -1) // of equal ones the first comes first
	})
	h.few = slices.Insert(h.few, at, m)[:min(len(h.few)+1, few)]
}

// byStrength orders messages: by severity, then the longest pin first. What the
// configuration requires counts as the longest.
func byStrength(a, b *Message) int {
	return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(pinDays(b.Incident), pinDays(a.Incident)))
}

// pinDays is for how many days a pin was met before its incident.
func pinDays(i *incident.Incident) int {
	switch {
	case i == nil:
		return 0
	case i.Evidence.Required:
		return int(tlsstate.DayOf(i.Opened))
	}
	return int(i.Evidence.Last) - int(i.Evidence.Since)
}

// digestMessage is the one message for all that was held back. why is its title
// after the number of alerts.
func digestMessage(h *held, why, host string, now time.Time) *Message {
	m := newMessage(host, WhatDigest, WhatDigest, StatusNone, h.worst, now)
	m.Digest = &Digest{Since: h.since.UTC(), Messages: h.messages, By: h.by, BySeverity: h.bySeverity}
	for _, held := range h.few {
		m.Digest.Few = append(m.Digest.Few, held.Title)
	}
	m.Title = inert(words.Count(h.messages, "alert")+" "+why, maxTitle)
	text := append([]string{
		"Events: " + sorted(h.by) + ".",
		"Severities: " + sorted(h.bySeverity) + ".",
		"Those with the strongest evidence:",
	}, m.Digest.Few...)
	m.Text = lines(strings.Join(text, "\n"))
	m.Next = []string{"tlsratchet incidents", "tlsratchet peers --downgraded"}
	return m
}

func sorted(counts map[string]uint64) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(all, ", ")
}
