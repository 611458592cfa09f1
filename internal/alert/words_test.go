package alert

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/incident"
	"tlsratchet/tlsstate"
)

func TestSeverity(t *testing.T) {
	domain := tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}
	for _, tt := range []struct {
		name string
		edit func(*incident.Incident)
		want Severity
	}{
		{"an address", func(*incident.Incident) {}, Critical},
		{"a broad domain", func(i *incident.Incident) { i.Identity = domain }, Warning},
		{"a narrow domain", func(i *incident.Incident) { i.Identity, i.Cap = domain, tlsstate.Header }, Info},
		{"a sender", func(i *incident.Incident) { i.Identity.Kind, i.Cap = tlsstate.Sender, tlsstate.Header }, Info},
		{"known plaintext", func(i *incident.Incident) { i.KnownPlaintext = true }, Info},
		{"a certificate that is acted on", func(i *incident.Incident) { i.Kind = tlsstate.Unauthenticated }, Critical},
		{"a certificate that is only observed", func(i *incident.Incident) {
			i.Kind = tlsstate.Unauthenticated
			i.Done = incident.Incident{}.Done
			i.Done[tlsstate.Observe] = 3
		}, Info},
	} {
		i := stripped()
		tt.edit(&i)
		if got := Of(&i); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestParseSeverity(t *testing.T) {
	for s := Info; s <= Critical; s++ {
		var got Severity
		b, err := s.MarshalText()
		if err != nil || got.UnmarshalText(b) != nil || got != s {
			t.Errorf("%s: got %s", s, got)
		}
	}
	if err := new(Severity).UnmarshalText([]byte("Critical")); err == nil || !strings.Contains(err.Error(), "use info, warning or critical") {
		t.Errorf("got %v", err)
	}
}

// TestOpened is what a postmaster reads.
func TestOpened(t *testing.T) {
	c := changeOf(incident.Opened, stripped())
	m := messageOf(&c, "mail.here.example")
	want := Message{
		Version: 1, ID: m.ID, Key: "incident-17", Status: StatusOpen, What: "opened", Severity: Critical,
		Host: "mail.here.example", At: noon.Add(time.Hour), Incident: m.Incident,
		Title: "mx1.bank.example (192.0.2.10) came without TLS",
		Text: `address:192.0.2.10 came in clear.
State: open.
Messages: 3 since 2026-09-21 12:00, the last at 2026-09-21 12:05 UTC.
Expected: TLSv1.2 or better.
Seen: none 3.
Evidence: strong, this address itself met the pin on 41 of the last 64 days, last on 2026-09-04, pinned since 2024-10-04.
Actions: header 1, quarantine 2.
Clients: mx1.bank.example (192.0.2.10).
Sender domains: bank.example.
Put into the hold queue: 4XyZ12, 4XyZ13.`,
		Next: []string{
			"tlsratchet explain address:192.0.2.10",
			"tlsratchet peer unpin --why 'REASON' address:192.0.2.10",
			"postsuper -H 4XyZ12", "postsuper -H 4XyZ13",
		},
	}
	if diff := cmp.Diff(want, *m, cmp.Comparer(func(a, b *incident.Incident) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWords(t *testing.T) {
	domain := stripped()
	domain.Identity = tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}
	domain.Evidence.Networks, domain.Evidence.Addresses, domain.Evidence.Broad = 4, 16, true
	narrow := domain
	narrow.Evidence.Broad = false
	refused := stripped()
	refused.Refused, refused.Undone = noon.Add(-23*time.Hour), 1
	required := stripped()
	required.Evidence = incident.Evidence{Pin: tlsstate.TLS13, Required: true}
	met, quiet, unpinned := stripped(), stripped(), stripped()
	met.Closed, met.ClosedBy = noon.Add(time.Hour), incident.Met
	quiet.Closed, quiet.ClosedBy = noon.Add(24*time.Hour), incident.Quiet
	unpinned.Closed, unpinned.ClosedBy = noon.Add(time.Hour), incident.Unpinned
	certificate := stripped()
	certificate.Kind = tlsstate.Unauthenticated
	weakened := stripped()
	weakened.Kind, weakened.Done = tlsstate.Weakened, incident.Incident{}.Done
	holding := changeOf(incident.Holding, met)
	holding.Held = met.Held[:1]
	for _, tt := range []struct {
		name string
		c    incident.Change
		want []string
	}{
		{"grown", changeOf(incident.Grown, domain), []string{"bank.example came without TLS: 3 messages so far", "good, about 16 addresses in 4 networks"}},
		{"narrow", changeOf(incident.Opened, narrow), []string{"weak, only about 16 addresses in 4 networks"}},
		{"waiting", changeOf(incident.Waiting, refused), []string{"has been refused for 24 hours; senders will soon get their mail back", "release_after_days", ", 1 ended before the action"}},
		{"required", changeOf(incident.Opened, required), []string{"TLSv1.3 or better, by the configuration", "none needed"}},
		{"met", changeOf(incident.Closed, met), []string{"(192.0.2.10): the pin is met again", "closed at 2026-09-21 13:00 UTC: the pin is met again."}},
		{"quiet", changeOf(incident.Closed, quiet), []string{"no downgrade for 24 hours"}},
		{"unpinned", changeOf(incident.Closed, unpinned), []string{"(192.0.2.10): an operator dropped the pin", "closed at 2026-09-21 13:00 UTC: an operator"}},
		{"holding", holding, []string{"1 message of mx1.bank.example (192.0.2.10) may still be in the hold queue", "hold queue: 4XyZ12."}},
		{"certificate", changeOf(incident.Opened, certificate), []string{"without its client certificate", "Expected: its client certificate."}},
		{"weakened", changeOf(incident.Opened, weakened), []string{"came with weaker TLS than expected"}},
		{"pinned", incident.Change{What: incident.Pinned, At: noon, Identity: domain.Identity, Words: "so it is"}, []string{"domain:bank.example is pinned: TLS is expected from now on\nso it is"}},
		{"released", incident.Change{What: incident.Released, At: noon, Identity: domain.Identity}, []string{"is accepted again without TLS"}},
		{"lapsed", incident.Change{What: incident.Lapsed, At: noon, Identity: domain.Identity}, []string{"has lapsed"}},
	} {
		m := messageOf(&tt.c, "mail")
		for _, want := range tt.want {
			if !strings.Contains(m.Title+"\n"+m.Text, want) {
				t.Errorf("%s: no %q in\n%s\n%s", tt.name, want, m.Title, m.Text)
			}
		}
	}
}

// TestNext: no command that would harm is proposed.
func TestNext(t *testing.T) {
	next := func(c incident.Change) string { return strings.Join(messageOf(&c, "mail").Next, "; ") }
	met := stripped()
	met.Closed, met.ClosedBy = noon, incident.Met
	if got := next(changeOf(incident.Closed, met)); got != "tlsratchet explain address:192.0.2.10" {
		t.Errorf("closed: %s", got)
	}
	required := stripped()
	required.Evidence.Required, required.Held = true, nil
	if got := next(changeOf(incident.Opened, required)); got != "tlsratchet explain address:192.0.2.10" {
		t.Errorf("required: %s", got)
	}
	hostile := stripped()
	hostile.Identity.Name = "x;reboot"
	hostile.Held = []incident.Held{{QueueID: "Q;reboot"}, {QueueID: "-r"}, {QueueID: ""}}
	if got := next(changeOf(incident.Opened, hostile)); got != "" {
		t.Errorf("hostile: %s", got)
	}
	many := changeOf(incident.Holding, stripped())
	for range 100 {
		many.Held = append(many.Held, incident.Held{QueueID: "Q1"})
	}
	if got := len(messageOf(&many, "mail").Next); got != maxNext {
		t.Errorf("%d commands", got)
	}
}

// hostileChange holds what a peer may choose, in all places.
func hostileChange(s string) incident.Change {
	i := stripped()
	i.Identity = tlsstate.Identity{Kind: tlsstate.Sender, Name: s}
	i.Words, i.From = s, []string{s, s}
	i.Clients = []incident.Client{{Address: s, Host: s}, {Address: "192.0.2.1", Host: s}}
	i.Held = []incident.Held{{QueueID: s}}
	return incident.Change{What: incident.Opened, At: noon, Identity: i.Identity, Words: s, Incident: i}
}

// special are the characters that no text may hold, for they mean something in
// the markup of some chat.
const special = "<>@*`|#!\"&\\~$^{}[]"

func checkInert(t *testing.T, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if strings.ContainsAny(s, special) {
			t.Errorf("not inert: %q", s)
		}
		if strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) {
			t.Errorf("not clean: %q", s)
		}
	}
}

// FuzzMessage: whatever a peer chooses, a message is inert and within its
// bounds, and its JSON reads back as the same texts.
func FuzzMessage(f *testing.F) {
	f.Add("bank.example")
	f.Add("<!channel> @everyone [a](http://evil.example) *b* `c`\r\nX: y\x00\u202e")
	f.Add(strings.Repeat("x", 5000))
	f.Fuzz(func(t *testing.T, s string) {
		c := hostileChange(s)
		for _, what := range []incident.What{incident.Opened, incident.Grown, incident.Waiting, incident.Holding, incident.Closed} {
			c.What = what
			m := messageOf(&c, "mail")
			checkInert(t, m.Title, m.Text, strings.Join(m.Next, "\n"))
			if len(m.Title) > maxTitle || len(m.Text) > maxText || strings.Contains(m.Title, "\n") {
				t.Fatalf("title of %d, text of %d bytes", len(m.Title), len(m.Text))
			}
			b, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			var back struct{ Title, Text string }
			if err := json.Unmarshal(b, &back); err != nil || back.Title != m.Title || back.Text != m.Text {
				t.Fatalf("%v: %s", err, b)
			}
		}
		n := Message{Key: s, Title: s, Text: s, Next: []string{s}}
		m := n.from("mail")
		checkInert(t, m.Key, m.Title, m.Text, strings.Join(m.Next, "\n"))
	})
}
