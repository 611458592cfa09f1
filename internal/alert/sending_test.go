package alert

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/incident"
	"tlsratchet/tlsstate"
)

// sending is an incident of mail that we send, and what was done.
func sending(action tlsstate.Action) incident.Incident {
	i := stripped()
	i.Identity = tlsstate.Identity{Kind: tlsstate.Destination, Name: "bank.example"}
	i.Done, i.Held = incident.Incident{}.Done, nil
	i.Done[action] = 3
	i.Clients = i.Clients[:1]
	i.Evidence.Below = 1
	return i
}

// shown is a message as a person reads it.
func shown(m *Message) string {
	return m.Title + "\n--\n" + m.Text + "\n--\n" + strings.Join(m.Next, "\n")
}

// TestDestinations is what a postmaster reads of mail that is sent.
func TestDestinations(t *testing.T) {
	required := sending(tlsstate.Tempfail)
	required.Evidence = incident.Evidence{Pin: tlsstate.TLS12, Required: true}
	weaker := sending(tlsstate.Observe)
	weaker.Kind, weaker.Seen = tlsstate.Weakened, incident.Incident{}.Seen
	weaker.Seen[tlsstate.Weak] = 3
	closed := func(by incident.Reason) incident.Change {
		i := sending(tlsstate.Tempfail)
		i.Closed, i.ClosedBy = noon.Add(time.Hour), by
		return changeOf(incident.Closed, i)
	}
	odd := sending(tlsstate.Tempfail)
	odd.Identity.Name = "bank.example';reboot"
	for _, tt := range []struct {
		name string
		c    incident.Change
		want string
	}{
		{"held", changeOf(incident.Opened, sending(tlsstate.Tempfail)), `mail to bank.example waits: it is not reached over TLS; 3 attempts so far
--
State: open.
Messages: 3 since 2026-09-21 12:00, the last at 2026-09-21 12:05 UTC.
Expected: TLSv1.2 or better.
Seen: none 3.
Evidence: mail to it met the pin on 41 of the last 64 days, last on 2026-09-04, pinned since 2024-10-04.
Actions: tempfail 3.
Its hosts that failed: mx1.bank.example (192.0.2.10).
Sender domains: bank.example.
Its mail waits in Postfix's queue. It failed on 1 day since TLS was last used; the pin is released by outbound.release_after_days, and then all of it is sent. If it has turned TLS off, unpin it now.
--
tlsratchet explain --to bank.example
tlsratchet outbound
tlsratchet peer unpin --why 'REASON' destination:bank.example
postqueue -f`},
		{"observed", changeOf(incident.Opened, sending(tlsstate.Observe)), `mail to bank.example was sent in clear; TLS was expected
--
State: open.
Messages: 3 since 2026-09-21 12:00, the last at 2026-09-21 12:05 UTC.
Expected: TLSv1.2 or better.
Seen: none 3.
Evidence: mail to it met the pin on 41 of the last 64 days, last on 2026-09-04, pinned since 2024-10-04.
Actions: observe 3.
Its hosts that failed: mx1.bank.example (192.0.2.10).
Sender domains: bank.example.
Nothing was held: the action is observe. With hold this mail would have waited.
--
tlsratchet explain --to bank.example
tlsratchet outbound
tlsratchet peer unpin --why 'REASON' destination:bank.example`},
		{"required", changeOf(incident.Grown, required), `mail to bank.example waits: it is not reached over TLS; 3 attempts so far
--
State: open.
Messages: 3 since 2026-09-21 12:00, the last at 2026-09-21 12:05 UTC.
Expected: TLSv1.2 or better, by the configuration.
Seen: none 3.
Evidence: none needed, the configuration requires it.
Actions: tempfail 3.
Its hosts that failed: mx1.bank.example (192.0.2.10).
Sender domains: bank.example.
Its mail waits until TLS is back: the configuration requires it.
--
tlsratchet explain --to bank.example
tlsratchet outbound
postqueue -f`},
		{"weaker", changeOf(incident.Opened, weaker), `mail to bank.example was sent with weaker TLS than expected
--
State: open.
Messages: 3 since 2026-09-21 12:00, the last at 2026-09-21 12:05 UTC.
Expected: TLSv1.2 or better.
Seen: weak 3.
Evidence: mail to it met the pin on 41 of the last 64 days, last on 2026-09-04, pinned since 2024-10-04.
Actions: observe 3.
Its hosts that failed: mx1.bank.example (192.0.2.10).
Sender domains: bank.example.
It was sent: outbound.action = hold keeps back mail in clear alone.
--
tlsratchet explain --to bank.example
tlsratchet outbound
tlsratchet peer unpin --why 'REASON' destination:bank.example`},
		{"over", closed(incident.Met), `mail to bank.example: the pin is met again
--
State: closed at 2026-09-21 13:00 UTC: the pin is met again.
Messages: 3 since 2026-09-21 12:00, the last at 2026-09-21 12:05 UTC.
Expected: TLSv1.2 or better.
Seen: none 3.
Evidence: mail to it met the pin on 41 of the last 64 days, last on 2026-09-04, pinned since 2024-10-04.
Actions: tempfail 3.
Its hosts that failed: mx1.bank.example (192.0.2.10).
Sender domains: bank.example.
Mail that waits for it is sent when Postfix tries it again.
--
tlsratchet explain --to bank.example
tlsratchet outbound
postqueue -f`},
		{"unpinned", closed(incident.Unpinned), `mail to bank.example: an operator dropped the pin
--
State: closed at 2026-09-21 13:00 UTC: an operator dropped the pin.
Messages: 3 since 2026-09-21 12:00, the last at 2026-09-21 12:05 UTC.
Expected: TLSv1.2 or better.
Seen: none 3.
Evidence: mail to it met the pin on 41 of the last 64 days, last on 2026-09-04, pinned since 2024-10-04.
Actions: tempfail 3.
Its hosts that failed: mx1.bank.example (192.0.2.10).
Sender domains: bank.example.
Mail that waits for it is sent when Postfix tries it again.
--
tlsratchet explain --to bank.example
tlsratchet outbound
postqueue -f`},
		{"quiet", closed(incident.Quiet), `mail to bank.example: no downgrade for 24 hours
--
State: closed at 2026-09-21 13:00 UTC: no downgrade for 24 hours.
Messages: 3 since 2026-09-21 12:00, the last at 2026-09-21 12:05 UTC.
Expected: TLSv1.2 or better.
Seen: none 3.
Evidence: mail to it met the pin on 41 of the last 64 days, last on 2026-09-04, pinned since 2024-10-04.
Actions: tempfail 3.
Its hosts that failed: mx1.bank.example (192.0.2.10).
Sender domains: bank.example.
Mail that waits for it is sent when Postfix tries it again.
--
tlsratchet explain --to bank.example
tlsratchet outbound
postqueue -f`},
		{"a name with a shell in it", changeOf(incident.Opened, odd), `mail to bank.example??reboot waits: it is not reached over TLS; 3 attempts so far
--
State: open.
Messages: 3 since 2026-09-21 12:00, the last at 2026-09-21 12:05 UTC.
Expected: TLSv1.2 or better.
Seen: none 3.
Evidence: mail to it met the pin on 41 of the last 64 days, last on 2026-09-04, pinned since 2024-10-04.
Actions: tempfail 3.
Its hosts that failed: mx1.bank.example (192.0.2.10).
Sender domains: bank.example.
Its mail waits in Postfix's queue. It failed on 1 day since TLS was last used; the pin is released by outbound.release_after_days, and then all of it is sent. If it has turned TLS off, unpin it now.
--
`},
	} {
		if diff := cmp.Diff(tt.want, shown(messageOf(&tt.c, "mail.here.example"))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
}

// TestOutageNotice is the alert of an outage of our own network.
func TestOutageNotice(t *testing.T) {
	var failing []string
	for _, c := range "abcdefghijkl" {
		failing = append(failing, string(c)+".example")
	}
	for want, n := range map[string]Message{
		`many destinations are no longer reached over TLS; somebody may strip STARTTLS near this server
--
With outbound.action = hold their mail waits in Postfix's queue, unless outbound.on_outage is release. It is sent on the day of outbound.release_after_days. Days in the outage do not count against the pins.
Check what is between this server and the Internet: a firewall that inspects SMTP has the same effect.
Some of them: a.example, b.example, c.example, d.example, e.example, f.example, g.example, h.example, i.example, j.example.
--
tlsratchet outbound
tlsratchet outbound --set release --why 'REASON'
postqueue -f`: OutageNotice(noon, failing, noon),
		`destinations are reached over TLS again
--
What waited is sent as Postfix tries it again.
--
tlsratchet outbound`: OutageNotice(time.Time{}, nil, noon),
	} {
		if diff := cmp.Diff(want, shown(n.from("mail.here.example"))); diff != "" || (n.Status == StatusClosed) == strings.HasPrefix(want, "many") {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}
