package alert

import (
	"fmt"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// Incidents of destinations are about the mail that we send.

// holds reports whether mail waits because of the incident.
func holds(i *incident.Incident) bool { return i.Strongest() >= tlsstate.Tempfail }

func destinationTitle(c *incident.Change) string {
	i := &c.Incident
	to := clean.Name(i.Identity.Name)
	switch {
	case c.What == incident.Closed:
		return fmt.Sprintf("mail to %s: %s", to, i.ClosedBy.Words())
	case holds(i):
		return fmt.Sprintf("mail to %s waits: it stopped offering TLS; %s so far", to, words.Count(i.Messages, "attempt"))
	case i.Kind == tlsstate.Weakened:
		return fmt.Sprintf("mail to %s was sent with weaker TLS than before", to)
	}
	return fmt.Sprintf("mail to %s was sent in clear; it always took TLS", to)
}

// whatWaits says what becomes of mail to a destination.
func whatWaits(c *incident.Change) []string {
	i := &c.Incident
	switch {
	case c.What == incident.Closed && holds(i):
		return []string{"Mail that waits for it is sent when Postfix tries it again."}
	case c.What == incident.Closed:
		return nil
	case i.Kind == tlsstate.Weakened:
		return []string{"It was sent: outbound.action = hold keeps back mail in clear alone."}
	case !holds(i):
		return []string{"Nothing was held: the action is observe. With hold this mail would have waited."}
	case i.Evidence.Required:
		return []string{"Its mail waits until TLS is back: the configuration requires it."}
	}
	return []string{fmt.Sprintf("Its mail waits in Postfix's queue. It failed on %s since TLS was last used; the pin is released by outbound.release_after_days, and then all of it is sent. If it has turned TLS off, unpin it now.", words.Count(i.Evidence.Below, "day"))}
}

// OutageNotice is the notice that many destinations began to fail at once, at a
// time, and which they are; the zero time says that it is over.
func OutageNotice(since time.Time, failing []string, now time.Time) Message {
	n := Message{Key: "outbound-outage", Severity: Critical, At: now, Next: []string{"tlsratchet outbound"}}
	if since.IsZero() {
		n.Status = StatusClosed
		n.Title, n.Text = "destinations are reached over TLS again", "What waited is sent as Postfix tries it again."
		return n
	}
	n.Title = "many destinations stopped offering TLS at once; somebody may strip STARTTLS near this server"
	n.Text = "With outbound.action = hold their mail waits in Postfix's queue, unless outbound.on_outage is release. It is sent on the day of outbound.release_after_days. Days in the outage do not count against the pins.\n" +
		"Check what is between this server and the Internet: a firewall that inspects SMTP has the same effect."
	n.Text += someOf(failing, func(name string) string { return name })
	n.Next = append(n.Next, "tlsratchet outbound --set release --why 'REASON'", "postqueue -f")
	return n
}
