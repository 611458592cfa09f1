package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// repeatEvery is how often an Alertmanager is sent what is open, and expires
	// after how long it resolves what is not sent: as Prometheus does it.
	repeatEvery = time.Minute
	expires     = 4 * time.Minute
	// passing is how long a single event is shown there.
	passing = time.Hour
	// maxRepeated is how many open incidents it is sent.
	maxRepeated = 200
)

// alertmanager posts to the API of Alertmanager, version 2.
type alertmanager struct{ *endpoint }

// postable is an alert as that API takes it. Alerts with the same labels are
// the same.
type postable struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

func newAlertmanager(e *endpoint) *alertmanager {
	e.url = e.url.JoinPath("api/v2/alerts")
	return &alertmanager{e}
}

func (a *alertmanager) try(ctx context.Context, m *Message) (string, error) {
	if m.What == WhatDigest {
		return "left out: it is sent each incident", nil
	}
	return a.post(ctx, []postable{alertOf(m, time.Now())})
}

func (a *alertmanager) repeat(ctx context.Context, now time.Time, open []*Message) error {
	if len(open) == 0 {
		return nil
	}
	var all []postable
	for _, m := range open[:min(len(open), maxRepeated)] {
		all = append(all, alertOf(m, now))
	}
	_, err := a.post(ctx, all)
	return err
}

func (a *alertmanager) post(ctx context.Context, alerts []postable) (string, error) {
	body, err := json.Marshal(alerts)
	if err != nil {
		return "", fmt.Errorf("making the body: %w", err)
	}
	return a.send(ctx, http.MethodPost, a.url, http.Header{"Content-Type": {"application/json"}}, body)
}

// alertOf makes the alert of a message. The labels must not change while it is
// open, but for the severity: with another one it is another alert, and the
// first one expires.
func alertOf(m *Message, now time.Time) postable {
	p := postable{
		Labels:      map[string]string{"severity": m.Severity.String(), "instance": m.Host},
		Annotations: map[string]string{"summary": m.Title, "description": m.Text, "next": strings.Join(m.Next, "\n")},
		StartsAt:    m.At,
	}
	i := m.Incident
	switch {
	case i != nil && standing(m.What):
		p.Labels["alertname"], p.Labels["identity"], p.Labels["incident"] = "TLSRatchetDowngrade", i.Identity.String(), m.Key
		p.StartsAt = i.Opened
		p.until(m.Status == StatusOpen, i.Closed, now)
	case m.What == WhatNotice:
		p.Labels["alertname"], p.Labels["key"] = "TLSRatchetNotice", m.Key
		p.until(m.Status == StatusOpen, m.At, now)
	case m.What == WhatTest:
		p.Labels["alertname"] = "TLSRatchetTest"
		p.EndsAt = now.Add(time.Minute)
	default:
		p.Labels["alertname"], p.Labels["key"], p.Labels["what"] = "TLSRatchetNote", m.Key, m.What
		p.EndsAt = now.Add(passing)
	}
	return p
}

// standing reports whether a message opens, updates or closes an incident, and is
// no reminder.
func standing(what string) bool { return what == "opened" || what == "grown" || what == "closed" }

// until sets when the alert ends. While it is open it is sent again before that.
func (p *postable) until(open bool, closed, now time.Time) {
	p.EndsAt = now.Add(expires)
	if !open {
		p.EndsAt = closed
	}
	if p.EndsAt.Before(p.StartsAt) { // which the API refuses
		p.StartsAt = p.EndsAt
	}
}
