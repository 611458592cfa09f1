package alert

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/ratchet"
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

// TestSpan: from two days on a span is in days.
func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 minute", 59 * time.Minute: "59 minutes", time.Hour: "1 hour", 47 * time.Hour: "47 hours",
		48 * time.Hour: "2 days", 72 * time.Hour: "3 days", 7 * 24 * time.Hour: "7 days",
	} {
		if got := span(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

// TestLongTitle: a peer chooses its name; a title has 150 characters at most.
func TestLongTitle(t *testing.T) {
	m := Message{Title: strings.Repeat("x", 1000), Text: strings.Repeat("y", 5000)}.from("mail")
	if len(m.Title) != 150 || len(m.Text) != 2500 {
		t.Errorf("title of %d, text of %d", len(m.Title), len(m.Text))
	}
}

// TestLongNames: a peer with a long name does not drive out of the title what it did.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("long.", 50) + "example"
	for _, id := range []tlsstate.Identity{{Kind: tlsstate.Address, Name: "2001:db8:1111:2222:3333:4444:5555:6666"}, {Kind: tlsstate.Domain, Name: long}, {Kind: tlsstate.Sender, Name: long + "/" + long}} {
		i := stripped()
		i.Identity, i.Clients = id, []incident.Client{{Address: "192.0.2.10", Host: long}}
		c := changeOf(incident.Opened, i)
		if m := messageOf(&c, "mail"); !strings.HasSuffix(m.Title, " came without TLS") || id.Kind == tlsstate.Address && !strings.Contains(m.Title, id.Name) {
			t.Errorf("title %s", m.Title)
		}
		for what, words := range events {
			if m := messageOf(&incident.Change{What: what, Identity: id}, "mail"); !strings.HasSuffix(m.Title, words) {
				t.Errorf("title %s", m.Title)
			}
		}
	}
	i := stripped()
	i.Identity = tlsstate.Identity{Kind: tlsstate.Destination, Name: long}
	for what, end := range map[incident.What]string{incident.Opened: " waits: it is not reached over TLS; 3 attempts so far", incident.Closed: ": TLS as expected again"} {
		if i.Done[tlsstate.Tempfail]++; what == incident.Closed {
			i.ClosedBy = incident.Met
		}
		c := changeOf(what, i)
		if m := messageOf(&c, "mail"); !strings.HasSuffix(m.Title, end) {
			t.Errorf("title %s", m.Title)
		}
	}
}

// TestSentences: each line of a text is one or more whole sentences, and none advises as
// if TLS were off where that is not known.
func TestSentences(t *testing.T) {
	var all []Message
	for _, what := range []incident.What{incident.Opened, incident.Grown, incident.Waiting, incident.Holding, incident.Closed, incident.Pinned, incident.Lapsed, incident.Released} {
		for _, kind := range []tlsstate.Kind{tlsstate.Address, tlsstate.Destination} {
			c := changeOf(what, stripped())
			c.Words, c.Incident.Identity.Kind, c.Incident.Kind, c.Incident.Refused = "address:192.0.2.10 came in clear", kind, tlsstate.Weakened, noon
			if events[what] != "" {
				c.Incident = incident.Incident{}
			}
			all = append(all, *messageOf(&c, "mail"))
		}
	}
	for a := ratchet.Armed; a <= ratchet.Suspended; a++ {
		all = append(all, BreakerNotice(ratchet.BreakerState{Answer: a, Recent: []ratchet.BreakerName{{Name: "bank.example"}}}, ""))
	}
	all = append(all, OutageNotice(time.Time{}, nil, noon), OutageNotice(noon, []string{"bank.example"}, noon), *testMessage("mail"))
	for _, m := range all {
		for line := range strings.SplitSeq(m.Text, "\n") {
			if !strings.HasSuffix(line, ".") || strings.HasSuffix(line, "..") || strings.Contains(line, "turned TLS off") && m.Incident.Identity.Kind != tlsstate.Destination {
				t.Errorf("%s: %s", m.What, line)
			}
		}
	}
}
