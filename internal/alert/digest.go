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
)

// few is how many titles a digest names.
const few = 10

// held collects messages for a digest.
type held struct {
	Digest
	worst     Severity
	incidents bool // some are of incidents
	// strongest are those with the strongest evidence, strongest first, one of each
	// matter: whoever makes many weak alerts must not hide the one that counts.
	strongest []*Message
}

// add adds a message.
func (h *held) add(m *Message) {
	if h.Messages == 0 {
		h.Digest = Digest{Since: time.Now().UTC(), By: make(map[string]uint64), BySeverity: make(map[string]uint64)}
	}
	h.Messages++
	h.By[m.What]++
	h.BySeverity[m.Severity.String()]++
	h.worst, h.incidents = max(h.worst, m.Severity), h.incidents || m.Incident != nil
	h.strongest = slices.DeleteFunc(h.strongest, func(o *Message) bool { return o.Key == m.Key })
	h.strongest = append(h.strongest, m)
	slices.SortStableFunc(h.strongest, byStrength) // of equal ones the first comes first
	h.strongest = h.strongest[:min(len(h.strongest), few)]
}

// byStrength orders messages as [Stronger] does.
func byStrength(a, b *Message) int {
	var none incident.Incident
	return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(cmp.Or(b.Incident, &none).PinDays(), cmp.Or(a.Incident, &none).PinDays()))
}

// Stronger orders incidents: by severity, then the longest pin first. It is for lists
// of which only the first are shown.
func Stronger(a, b incident.Incident) int {
	return cmp.Or(cmp.Compare(Of(&b), Of(&a)), cmp.Compare(b.PinDays(), a.PinDays()))
}

// message is the one message for all that was held back. why is its title after
// the number of alerts.
func (h *held) message(why, host string) *Message {
	d := h.Digest
	d.By, d.BySeverity = maps.Clone(d.By), maps.Clone(d.BySeverity) // more may be added
	text := "Events: " + sorted(d.By) + ".\nSeverities: " + sorted(d.BySeverity) + ".\nThose with the strongest evidence:"
	for _, m := range h.strongest {
		d.Few = append(d.Few, m.Title)
		text += "\n" + m.Title + "."
	}
	return Message{
		Key: WhatDigest, What: WhatDigest, Severity: h.worst, Title: words.Count(d.Messages, "alert") + " " + why, Text: text,
		Next: []string{"tlsratchet incidents", "tlsratchet peers --downgraded"}, Digest: &d,
	}.from(host)
}

func sorted(counts map[string]uint64) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(all, ", ")
}
