package alert

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// messageOf returns the message for a change.
func messageOf(c *incident.Change, host string) *Message {
	if c.Incident.ID == 0 {
		return noteOf(c, host)
	}
	i := &c.Incident
	m := Message{
		Key: fmt.Sprint("incident-", i.ID), What: string(c.What), Status: StatusOpen, Severity: Of(i), At: c.At,
		Title: title(c), Text: strings.Join(text(c), "\n"), Next: next(c), Incident: i,
	}
	switch {
	case c.What == incident.Holding && !i.IsOpen(): // the mail still waits
		m.Status = StatusNone
	case !i.IsOpen():
		m.Status = StatusClosed
	}
	return m.from(host)
}

// events are those without an incident.
var events = map[incident.What]string{
	incident.Pinned:   "is pinned: TLS is expected from now on",
	incident.Lapsed:   "was seen below its pin, which has lapsed",
	incident.Released: "stayed below its pin for days: the pin is released",
}

// noteOf is for changes without an incident.
func noteOf(c *incident.Change, host string) *Message {
	return Message{
		Key: string(c.What) + "-" + c.Identity.String(), What: string(c.What), At: c.At,
		Title: short(c.Identity.String(), 64) + " " + events[c.What], Text: c.Words + ".", Next: commands(c.Identity, false),
	}.from(host)
}

// title is one line: which peer, and what happened.
func title(c *incident.Change) string {
	i := &c.Incident
	if i.Identity.Kind == tlsstate.Destination {
		return destinationTitle(c)
	}
	who := peerName(i)
	switch c.What {
	case incident.Grown:
		return fmt.Sprintf("%s %s: %s so far", who, words.Kind(i.Identity.Kind, i.Kind), words.Count(i.Messages, "downgraded message"))
	case incident.Waiting:
		return fmt.Sprintf("%s: first refused %s ago; senders may soon get their mail back", who, span(c.At.Sub(i.Refused)))
	case incident.Holding:
		return fmt.Sprintf("%s: %s may still be in the hold queue", who, words.Count(len(c.Held), "message"))
	case incident.Closed:
		return who + ": " + i.ClosedBy.Words()
	}
	return who + " " + words.Kind(i.Identity.Kind, i.Kind)
}

// peerName names the peer of an incident, with its host if there is only one.
func peerName(i *incident.Incident) string {
	switch {
	case i.Identity.Kind == tlsstate.Address && len(i.Clients) == 1 && i.Clients[0].Host != "":
		return fmt.Sprintf("%s (%s)", short(i.Clients[0].Host, 64), short(i.Identity.Name, 64))
	case i.Identity.Kind == tlsstate.Sender:
		domain, client, _ := strings.Cut(i.Identity.Name, "/")
		return fmt.Sprintf("mail from %s by %s", short(domain, 48), short(client, 48))
	}
	return short(i.Identity.Name, 96)
}

// short cuts a name for a title: a long one must not hide what happened.
func short(name string, most int) string { return clean.Text(clean.Name(name), most) }

// brackets are markup in some chats.
var brackets = strings.NewReplacer("[", " (", "]", ")")

// text is what a postmaster needs to know of an incident.
func text(c *incident.Change) (all []string) {
	i := c.Incident
	if verdict := cmp.Or(c.Words, i.Words); i.Identity.Kind != tlsstate.Destination {
		all = append(all, verdict+".")
	}
	if c.What == incident.Holding {
		i.Held = c.Held
	}
	for _, f := range i.Facts() {
		all = append(all, f.Key+": "+brackets.Replace(strings.Join(f.Values, ", "))+".")
	}
	if i.Identity.Kind == tlsstate.Destination {
		all = append(all, whatWaits(c)...)
	} else if c.What == incident.Waiting {
		all = append(all, "Senders usually give up after five days, some after one. "+endOfRefusal(&i))
	}
	return all
}

// endOfRefusal states when mail of a peer that stays below its pin is accepted.
func endOfRefusal(i *incident.Incident) string {
	if i.Evidence.Required {
		return "The configuration requires this of the peer: mail below it is refused until its row is changed."
	}
	return "If the peer will stay as it is, unpin it. If you do nothing, its pin is released when the peer has come below it on policy.release_after_days days."
}

// next are the commands: to explain, to unpin, to release held mail.
func next(c *incident.Change) []string {
	all := commands(c.Identity, c.Incident.IsOpen() && !c.Incident.Evidence.Required)
	if c.Identity.Kind == tlsstate.Destination && len(all) > 0 && holds(&c.Incident) && !c.Incident.ClosedBy.PinStands() {
		all = append(all, "postqueue -f")
	}
	held := c.Held
	if c.What == incident.Opened || c.What == incident.Grown {
		held = c.Incident.Held
	}
	for _, h := range held {
		if clean.IsWord(h.QueueID) && len(all) < maxNext {
			all = append(all, "postsuper -H "+h.QueueID)
		}
	}
	return all
}

// maxNext is how many commands a message has: what a chat can show.
const maxNext = 10

// commands are those to explain and unpin an identity; none for a name that is
// not safe in a shell command.
func commands(id tlsstate.Identity, unpin bool) []string {
	if !clean.IsWord(id.String()) {
		return nil
	}
	all := []string{"tlsratchet explain " + id.String()}
	if id.Kind == tlsstate.Destination {
		all = []string{"tlsratchet explain --to " + id.Name, "tlsratchet outbound"}
	}
	if unpin {
		all = append(all, "tlsratchet peer unpin --why 'REASON' "+id.String())
	}
	return all
}

// span is a duration in words: whole days, hours or minutes.
func span(d time.Duration) string {
	if d < time.Hour {
		return words.Count(uint64(max(d, time.Minute)/time.Minute), "minute")
	}
	if d >= 48*time.Hour {
		return words.Count(uint64(d/(24*time.Hour)), "day")
	}
	return words.Count(uint64(d/time.Hour), "hour")
}

// holds reports whether mail waits because of the incident.
func holds(i *incident.Incident) bool { return i.Strongest() >= tlsstate.Tempfail }

func destinationTitle(c *incident.Change) string {
	i := &c.Incident
	to := short(i.Identity.Name, 64)
	switch {
	case c.What == incident.Closed:
		return fmt.Sprintf("mail to %s: %s", to, i.ClosedBy.Words())
	case holds(i):
		return fmt.Sprintf("mail to %s waits: it is not reached over TLS; %s so far", to, words.Count(i.Messages, "attempt"))
	case i.Kind == tlsstate.Weakened:
		return fmt.Sprintf("mail to %s was sent with weaker TLS than expected", to)
	}
	return fmt.Sprintf("mail to %s was sent in clear; TLS was expected", to)
}

// whatWaits states what becomes of mail to a destination.
func whatWaits(c *incident.Change) []string {
	i := &c.Incident
	switch {
	case !i.IsOpen() && holds(i) && !i.ClosedBy.PinStands():
		return []string{"Mail that waits for it is sent when Postfix tries it again."}
	case !i.IsOpen():
		return nil
	case i.Kind == tlsstate.Weakened && !holds(i):
		return []string{"It was sent: outbound.action = hold only keeps back mail in clear."}
	case !holds(i):
		return []string{"Nothing was held: the action is observe, or hold does not apply now; tlsratchet outbound states why."}
	case i.Evidence.Required:
		return []string{"What was held waits in Postfix's queue until TLS is back: the configuration requires it."}
	}
	return []string{fmt.Sprintf("What was held waits in Postfix's queue. The destination failed on %s since TLS was last used; the pin is released by outbound.release_after_days, and then all of it is sent. If it has turned TLS off, unpin it now.", words.Count(i.Evidence.Below, "day"))}
}
