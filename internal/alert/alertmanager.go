package alert

import (
	"encoding/json"
	"strings"
	"time"

	"tlsratchet/internal/incident"
)

const (
	// expires is after how long an Alertmanager resolves what is not sent: as
	// Prometheus does it.
	expires = 4 * time.Minute
	// passing is how long a single event is shown there.
	passing = time.Hour
	// maxRepeated is how many open incidents and notices it is sent.
	maxRepeated = 200
)

// postable is an alert as version 2 of Alertmanager's API takes it. Alerts with the same labels are
// the same.
type postable struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// postables is the body of a request of that API.
func postables(all []*Message) ([]byte, error) {
	var alerts []postable
	for _, m := range all {
		alerts = append(alerts, alertOf(m, time.Now()))
	}
	return json.Marshal(alerts)
}

// alertOf makes the alert of a message. The labels must not change while it is
// open, but for the severity: with another one it is another alert, and the
// first one expires.
func alertOf(m *Message, now time.Time) postable {
	p := postable{
		Labels:      map[string]string{"severity": m.Severity.String(), "instance": m.Host},
		Annotations: map[string]string{"summary": m.Title, "description": m.Text, "next": strings.Join(m.Next, "\n")},
		StartsAt:    m.At, EndsAt: now.Add(expires), // while it is open it is sent again before that
	}
	closed := m.At
	switch what := incident.What(m.What); {
	case m.Incident != nil && (what == incident.Opened || what == incident.Grown || what == incident.Closed):
		p.Labels["alertname"], p.Labels["identity"], p.Labels["incident"] = "TLSRatchetDowngrade", m.Incident.Identity.String(), m.Key
		p.StartsAt, closed = m.Incident.Opened, m.Incident.Closed
	case m.What == WhatNotice:
		p.Labels["alertname"], p.Labels["key"] = "TLSRatchetNotice", m.Key
	case m.What == WhatTest:
		p.Labels["alertname"], p.EndsAt = "TLSRatchetTest", now.Add(time.Minute)
		return p
	default:
		p.Labels["alertname"], p.Labels["key"], p.Labels["what"] = "TLSRatchetNote", m.Key, m.What
		p.EndsAt = now.Add(passing)
		return p
	}
	if m.Status == StatusClosed {
		p.EndsAt = closed
	}
	if p.EndsAt.Before(p.StartsAt) { // which the API refuses
		p.StartsAt = p.EndsAt
	}
	return p
}
