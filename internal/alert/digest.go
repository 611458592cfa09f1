package alert

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// few is how many titles a digest names.
const few = 10

// held gathers messages that are held back.
type held struct {
	since      time.Time
	messages   uint64
	by         map[string]uint64
	bySeverity map[string]uint64
	worst      Severity
	few        []string
}

// add takes a message in.
func (h *held) add(m *Message, now time.Time) {
	if h.messages == 0 {
		*h = held{since: now, by: make(map[string]uint64), bySeverity: make(map[string]uint64)}
	}
	h.messages++
	h.by[m.What]++
	h.bySeverity[m.Severity.String()]++
	h.worst = max(h.worst, m.Severity)
	if len(h.few) < few {
		h.few = append(h.few, m.Title)
	}
}

// digestMessage is the one message for all that was held back.
func digestMessage(h *held, host string, now time.Time) *Message {
	m := newMessage(host, WhatDigest, WhatDigest, StatusNone, h.worst, now)
	m.Digest = &Digest{Since: h.since.UTC(), Messages: h.messages, By: h.by, BySeverity: h.bySeverity, Few: h.few}
	m.Title = inert(fmt.Sprintf("%s in %s that were not told one by one", count(h.messages, "alert"), span(now.Sub(h.since))), maxTitle)
	text := []string{
		"There were more alerts than are told one by one (alert.per_hour).",
		"What they were: " + sorted(h.by) + ".",
		"Severities: " + sorted(h.bySeverity) + ".",
		"The first of them:",
	}
	m.Text = lines(strings.Join(append(text, h.few...), "\n"))
	m.Next = []string{"tlsratchet peers --downgraded"}
	return m
}

func sorted(counts map[string]uint64) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(all, ", ")
}
