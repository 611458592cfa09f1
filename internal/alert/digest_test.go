package alert

import (
	"fmt"
	"strings"
	"testing"

	"tlsratchet/internal/incident"
	"tlsratchet/tlsstate"
)

// TestDigestNamesTheStrongest: many young pins of an attacker's own do not hide
// the old one that counts.
func TestDigestNamesTheStrongest(t *testing.T) {
	var h held
	add := func(n int, pinned tlsstate.Day) {
		i := numbered(n)
		i.Clients = nil
		i.Evidence.Since = i.Evidence.Last - pinned
		c := changeOf(incident.Opened, i)
		h.add(messageOf(&c, "mail"))
	}
	for n := range 16 {
		add(n, 5)
	}
	add(100, 200)
	for n := range 16 {
		add(200+n, 6)
	}
	add(101, 300)
	add(100, 200) // reported twice, named once
	m := h.message("held back", "mail")
	if len(m.Digest.Few) != few {
		t.Fatalf("%d titles", len(m.Digest.Few))
	}
	if got := strings.Join(m.Digest.Few[:3], ", "); got != "10.0.0.101 came without TLS, 10.0.0.100 came without TLS, 10.0.0.200 came without TLS" {
		t.Errorf("got %s", got)
	}
	if !strings.Contains(m.Text, "\n10.0.0.101 came without TLS.\n") || m.Digest.Messages != 35 {
		t.Errorf("%d messages:\n%s", m.Digest.Messages, m.Text)
	}
}

// TestDigestOfEqualEvidence names the first ones.
func TestDigestOfEqualEvidence(t *testing.T) {
	var h held
	for n := range 2 * few {
		c := changeOf(incident.Opened, numbered(n+1))
		h.add(messageOf(&c, "mail"))
	}
	for n, m := range h.strongest {
		if want := fmt.Sprint("incident-", n+1); m.Key != want {
			t.Errorf("%d: %s", n, m.Key)
		}
	}
}
