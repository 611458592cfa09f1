package alert

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

var update = flag.Bool("update", false, "write the golden file")

// of is an open incident with one message of a kind, to which an action was
// applied.
func of(id tlsstate.Identity, kind tlsstate.Downgrade, action tlsstate.Action) incident.Incident {
	i := stripped()
	i.Identity, i.Kind, i.Held, i.Done, i.Seen = id, kind, nil, incident.ByAction{}, incident.ByLevel{}
	i.Words = "the verdict stands here"
	seen := map[tlsstate.Downgrade]tlsstate.Level{tlsstate.Weakened: tlsstate.Weak, tlsstate.Unauthenticated: tlsstate.TLS13}[kind]
	i.Done[action], i.Seen[seen] = 3, 3
	switch action {
	case tlsstate.Quarantine:
		i.Held = []incident.Held{{QueueID: "4XyZ12", At: noon}, {QueueID: "4XyZ13", At: noon}}
	case tlsstate.Tempfail:
		i.Refused = noon
	}
	if id.Kind == tlsstate.Domain {
		i.Evidence.Networks, i.Evidence.Addresses, i.Evidence.Broad = 4, 16, true
	}
	return i
}

// changes are all that are reported of an incident after it opened, while it goes
// on and at each of its ends.
func changes(i incident.Incident) (all []incident.Change) {
	all = append(all, changeOf(incident.Grown, i))
	if !i.Refused.IsZero() && i.Identity.Kind != tlsstate.Destination {
		c := changeOf(incident.Waiting, i)
		c.At = noon.Add(24 * time.Hour)
		all = append(all, c)
	}
	if i.Held != nil {
		c := changeOf(incident.Holding, i)
		c.At, c.Held = noon.Add(24*time.Hour), i.Held[:1]
		all = append(all, c)
		c.Incident.Closed, c.Incident.ClosedBy = noon.Add(time.Hour), incident.Met
		all = append(all, c)
	}
	for _, by := range []incident.Reason{incident.Met, incident.Quiet, incident.Unpinned, incident.NoRoom} {
		if by == incident.Unpinned && i.Evidence.Required {
			continue
		}
		c := changeOf(incident.Closed, i)
		c.Incident.Closed, c.Incident.ClosedBy = c.At, by
		all = append(all, c)
	}
	return all
}

// everything is each message that may be sent: each kind of downgrade, in both
// directions, with each action, and all that follows.
func everything() (all []*Message) {
	add := func(c ...incident.Change) {
		for n := range c {
			all = append(all, messageOf(&c[n], "mail.here.example"))
		}
	}
	identity := func(kind tlsstate.Kind, name string) tlsstate.Identity {
		return tlsstate.Identity{Kind: kind, Name: name}
	}
	address, domain, sender := identity(tlsstate.Address, "192.0.2.10"), identity(tlsstate.Domain, "bank.example"), identity(tlsstate.Sender, "bank.example/relay.example")
	to := identity(tlsstate.Destination, "bank.example")
	for _, kind := range []tlsstate.Downgrade{tlsstate.Stripped, tlsstate.Weakened, tlsstate.Unauthenticated} {
		for action := tlsstate.Observe; action <= tlsstate.Reject; action++ {
			i := of(address, kind, action)
			add(changeOf(incident.Opened, i))
			required := i
			required.Evidence = incident.Evidence{Pin: tlsstate.TLS12, Required: true}
			add(changeOf(incident.Opened, required))
			if kind == tlsstate.Stripped && (action == tlsstate.Quarantine || action == tlsstate.Tempfail) { // else nothing differs
				add(changes(i)...)
				add(changes(required)...)
			}
		}
	}
	thin, known := of(domain, tlsstate.Stripped, tlsstate.Header), of(domain, tlsstate.Stripped, tlsstate.Header)
	thin.Evidence.Broad, thin.Cap, known.KnownPlaintext = false, tlsstate.Header, true
	for _, i := range []incident.Incident{of(domain, tlsstate.Stripped, tlsstate.Header), thin, known, of(sender, tlsstate.Stripped, tlsstate.Tempfail)} {
		add(changeOf(incident.Opened, i), changes(i)[0], changes(i)[1])
	}
	for _, kind := range []tlsstate.Downgrade{tlsstate.Stripped, tlsstate.Weakened} {
		for _, action := range []tlsstate.Action{tlsstate.Observe, tlsstate.Tempfail} {
			i := of(to, kind, action)
			required := i
			required.Evidence = incident.Evidence{Pin: tlsstate.TLS12, Required: true}
			add(changeOf(incident.Opened, i), changeOf(incident.Opened, required))
			if kind == tlsstate.Stripped {
				add(changes(i)...)
				add(changes(required)...)
			}
		}
	}
	for _, id := range []tlsstate.Identity{address, domain, sender, to} {
		for _, what := range []incident.What{incident.Pinned, incident.Lapsed, incident.Released} {
			add(incident.Change{What: what, At: noon, Identity: id, Words: "the verdict stands here"})
		}
	}
	names := []ratchet.BreakerName{{Name: "bank.example"}, {Name: "<script>.example"}}
	for _, n := range []Message{
		BreakerNotice(ratchet.BreakerState{Answer: ratchet.Suspended, Since: noon, Silent: names}, "STARTTLS is not offered"),
		BreakerNotice(ratchet.BreakerState{Answer: ratchet.Suspended, Since: noon, Silent: names}, ""),
		BreakerNotice(ratchet.BreakerState{Answer: ratchet.Softened, Since: noon, Recent: names}, ""),
		BreakerNotice(ratchet.BreakerState{Answer: ratchet.Armed, Since: noon}, ""),
		OutageNotice(noon, []string{"a.example", "b.example"}, noon), OutageNotice(time.Time{}, nil, noon),
	} {
		n.What, n.Status = WhatNotice, cmp.Or(n.Status, StatusOpen)
		all = append(all, n.from("mail.here.example"))
	}
	var digest held
	for _, m := range all[:3] {
		digest.add(m)
	}
	return append(all, digest.message("within 10 minutes beyond the limit of alert.per_hour", "mail.here.example"), testMessage("mail.here.example"))
}

// TestEveryText is what a postmaster reads, of everything that may be sent.
func TestEveryText(t *testing.T) {
	var b strings.Builder
	for _, m := range everything() {
		fmt.Fprintf(&b, "[%s] %s\n\n%s\n", label(m), m.Title, m.Text)
		for _, c := range m.Next {
			fmt.Fprintf(&b, "    %s\n", c)
		}
		fmt.Fprintf(&b, "-- %s, %s, %s\n\n", m.What, m.Key, m.Status)
	}
	path := filepath.Join("testdata", "messages.golden")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
