package alert

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"tlsratchet/internal/incident"
)

// TestAlertOf: what is the same alert has the same labels, while it is open and
// when it is over.
func TestAlertOf(t *testing.T) {
	now := noon.Add(2 * time.Hour)
	met := stripped()
	met.Closed, met.ClosedBy = noon.Add(time.Hour), incident.Met
	alert := func(what incident.What, i incident.Incident) postable {
		c := changeOf(what, i)
		return alertOf(messageOf(&c, "mail"), now)
	}
	opened, grown, closed := alert(incident.Opened, stripped()), alert(incident.Grown, stripped()), alert(incident.Closed, met)
	want := `{"alertname":"TLSRatchetDowngrade","identity":"address:192.0.2.10","incident":"incident-17","instance":"mail","severity":"critical"}`
	for _, p := range []postable{opened, grown, closed} {
		if b, _ := json.Marshal(p.Labels); string(b) != want {
			t.Errorf("labels %s, want %s", b, want)
		}
		if !p.StartsAt.Equal(noon) {
			t.Errorf("starts at %s", p.StartsAt)
		}
	}
	if !opened.EndsAt.Equal(now.Add(expires)) || !closed.EndsAt.Equal(met.Closed) {
		t.Errorf("ends at %s, %s", opened.EndsAt, closed.EndsAt)
	}
	early := met
	early.Closed = noon.Add(-time.Hour) // a clock went back
	if p := alert(incident.Closed, early); p.EndsAt.Before(p.StartsAt) {
		t.Errorf("from %s to %s", p.StartsAt, p.EndsAt)
	}
	if p := alert(incident.Holding, met); p.Labels["alertname"] != "TLSRatchetNote" || !p.EndsAt.After(now) {
		t.Errorf("a reminder: %+v", p)
	}
	over := Message{Key: "breaker", What: WhatNotice, Title: "x", At: noon, Status: StatusClosed}
	if p := alertOf(over.from("mail"), now); p.Labels["key"] != "breaker" || !p.EndsAt.Equal(noon) {
		t.Errorf("a notice that is over: %+v", p)
	}
	if p := alertOf(testMessage("mail"), now); p.Labels["alertname"] != "TLSRatchetTest" || !p.EndsAt.After(now) {
		t.Errorf("a test: %+v", p)
	}
}

func TestAlertmanager(t *testing.T) {
	url, got := calls(t)
	d, err := newDestination(Settings{Kind: KindAlertmanager, Least: "info", URL: url + "/prefix/"}, noVariables, discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := deliver(t, d); err != nil {
		t.Fatal(err)
	}
	c := <-got
	var alerts []postable
	if err := json.Unmarshal(c.body, &alerts); err != nil || c.method != "POST" || c.path != "/prefix/api/v2/alerts" || len(alerts) != 1 {
		t.Errorf("%s %s: %s, %v", c.method, c.path, c.body, err)
	}
	a := start(Options{Open: func() (open []incident.Incident) {
		for n := range maxRepeated + 100 {
			open = append(open, numbered(n+1))
		}
		open[len(open)-1].Evidence.Since, open[len(open)-1].Evidence.Last = 10000, 20700
		return open
	}})
	defer closeAlerts(t, a)
	if _, err := d.send(t.Context(), a.standing(d)...); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal((<-got).body, &alerts); err != nil || len(alerts) != 200 {
		t.Errorf("%d alerts repeated, %v", len(alerts), err)
	}
	if want := fmt.Sprint("incident-", maxRepeated+100); alerts[0].Labels["incident"] != want {
		t.Errorf("of too many the first is %s, want %s with the longest pin", alerts[0].Labels["incident"], want)
	}
	if d.wants(new(held).message("held back", "mail")) {
		t.Error("it gets a digest")
	}
}
