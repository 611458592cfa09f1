package alert

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tlsratchet/internal/incident"
	"tlsratchet/tlsstate"
)

// messageOf puts a change into words.
func messageOf(c *incident.Change, host string) *Message {
	if c.Incident.ID == 0 {
		return noteOf(c, host)
	}
	i := &c.Incident
	status := StatusOpen
	if !i.IsOpen() {
		status = StatusClosed
	}
	m := newMessage(host, keyOf(i), c.What.String(), status, Of(i), c.At)
	m.Title, m.Incident = inert(title(c), maxTitle), i
	m.Text, m.Next = lines(strings.Join(text(c), "\n")), next(c)
	return m
}

func keyOf(i *incident.Incident) string { return "incident-" + strconv.FormatUint(i.ID, 10) }

// noteOf is for changes of no incident.
func noteOf(c *incident.Change, host string) *Message {
	m := newMessage(host, name(c.What.String()+"-"+c.Identity.String()), c.What.String(), StatusNone, Info, c.At)
	said := map[incident.What]string{
		incident.Pinned:   "is held to TLS from now on",
		incident.Lapsed:   "came without the TLS that it used long ago",
		incident.Released: "is let through again without TLS",
	}
	m.Title, m.Text = inert(name(c.Identity.String())+" "+said[c.What], maxTitle), lines(c.Words)
	m.Next = commands(c.Identity, false)
	return m
}

// title says in one line what happened, to whom.
func title(c *incident.Change) string {
	i := &c.Incident
	who := peerName(i)
	switch c.What {
	case incident.Grown:
		return fmt.Sprintf("%s still %s: %s", who, came(i.Kind), count(i.Messages, "message"))
	case incident.Waiting:
		return fmt.Sprintf("%s has been refused for %s: its mail will soon be returned", who, span(c.At.Sub(i.Refused)))
	case incident.Holding:
		return fmt.Sprintf("%s of %s may still wait in the hold queue", count(uint64(len(c.Held)), "message"), who)
	case incident.Closed:
		switch i.ClosedBy {
		case incident.Met:
			return fmt.Sprintf("%s is back: it met its pin again", who)
		case incident.Unpinned:
			return fmt.Sprintf("%s: an operator dropped its pin", who)
		}
		return fmt.Sprintf("%s: no downgrade for 24 hours", who)
	}
	return who + " " + came(i.Kind)
}

// peerName names the peer of an incident, with a host if there is just one.
func peerName(i *incident.Incident) string {
	if i.Identity.Kind == tlsstate.Address && len(i.Clients) == 1 && i.Clients[0].Host != "" {
		return fmt.Sprintf("%s (%s)", name(i.Clients[0].Host), name(i.Identity.Name))
	}
	return name(i.Identity.Name)
}

func came(k tlsstate.Downgrade) string {
	switch k {
	case tlsstate.Weakened:
		return "came with weaker TLS than ever"
	case tlsstate.Unauthenticated:
		return "came without its client certificate"
	}
	return "came without TLS"
}

// text says all of an incident that a postmaster acts on.
func text(c *incident.Change) []string {
	i := &c.Incident
	words := i.Words
	if c.Words != "" {
		words = c.Words
	}
	all := []string{words + ".", "Expected: " + expected(i) + ". Seen: " + counts(i.Seen[:], levelName) + "."}
	all = append(all, "Evidence: "+strength(i)+".", times(i))
	all = append(all, "Done: "+done(i)+".")
	if len(i.Clients) > 0 {
		all = append(all, "Clients: "+some(clients(i), incident.MaxClients)+".")
	}
	if len(i.From) > 0 {
		all = append(all, "Sender domains: "+some(names(i.From), incident.MaxFrom)+".")
	}
	held := c.Held
	if c.What != incident.Holding {
		held = i.Held
	}
	if len(held) > 0 {
		all = append(all, "Put into the hold queue: "+some(queueIDs(held), incident.MaxHeld)+".")
	}
	if c.What == incident.Waiting {
		all = append(all, "Senders give up after five days as a rule, some after one. If the peer has given TLS up, unpin it; it is let through by itself once release_after_days have passed, unless your configuration requires TLS of it.")
	}
	return all
}

func expected(i *incident.Incident) string {
	e := &i.Evidence
	switch {
	case e.Required:
		return e.Pin.String() + " or better, by the configuration"
	case i.Kind == tlsstate.Unauthenticated:
		return "a trusted client certificate"
	}
	return e.Pin.String() + " or better"
}

// strength says how far the evidence can be trusted.
func strength(i *incident.Incident) string {
	e := &i.Evidence
	switch {
	case e.Required:
		return "none needed, the configuration requires it"
	case i.Identity.Kind == tlsstate.Address:
		return fmt.Sprintf("strong: this address itself met it on %d of the last %d days, last on %s", e.Days, tlsstate.Window, e.Last)
	case i.KnownPlaintext:
		return "thin: these addresses were never seen with TLS, only others of their domain"
	case e.Broad:
		return fmt.Sprintf("good: about %d addresses in %d networks of this domain came with TLS, these never did", e.Addresses, e.Networks)
	case i.Identity.Kind == tlsstate.Domain:
		return fmt.Sprintf("thin: only about %d addresses in %d networks of this domain came with TLS, these never did", e.Addresses, e.Networks)
	}
	return "thin: the sender's domain by SPF, not the client itself"
}

func times(i *incident.Incident) string {
	s := fmt.Sprintf("Since %s: %s, the last at %s.", stamp(i.Opened), count(i.Messages, "message"), stamp(i.Last))
	if !i.IsOpen() {
		s += " Closed at " + stamp(i.Closed) + "."
	}
	return s
}

// done says what was done to the messages.
func done(i *incident.Incident) string {
	s := counts(i.Done[:], func(a int) string { return tlsstate.Action(a).String() })
	if i.Undone == 0 {
		return s
	}
	ended := fmt.Sprintf("%d ended before it came to that", i.Undone)
	if s == "nothing" {
		return ended
	}
	return s + ", " + ended
}

func levelName(l int) string { return tlsstate.Level(l).String() }

// counts lists what is not zero, as in "header 3, quarantine 1".
func counts(ns []uint64, name func(int) string) string {
	var all []string
	for i, n := range ns {
		if n > 0 {
			all = append(all, fmt.Sprintf("%s %d", name(i), n))
		}
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, ", ")
}

// next are the commands: to look, to unpin, to release.
func next(c *incident.Change) []string {
	all := commands(c.Identity, c.What != incident.Closed && !c.Incident.Evidence.Required)
	held := c.Held
	if c.What == incident.Opened || c.What == incident.Grown {
		held = c.Incident.Held
	}
	for _, h := range held {
		if isPlain(h.QueueID) && len(all) < maxNext {
			all = append(all, "postsuper -H "+h.QueueID)
		}
	}
	return all
}

// maxNext is how many commands a message holds: what a chat can show.
const maxNext = 10

// commands are those to look at an identity and to unpin it; none for a name
// that a shell would take for something else.
func commands(id tlsstate.Identity, unpin bool) []string {
	if !isPlain(id.String()) {
		return nil
	}
	all := []string{"tlsratchet explain " + id.String()}
	if unpin {
		all = append(all, "tlsratchet peer unpin --why 'REASON' "+id.String())
	}
	return all
}

func clients(i *incident.Incident) (all []string) {
	for _, c := range i.Clients {
		if c.Host == "" {
			all = append(all, name(c.Address))
		} else {
			all = append(all, fmt.Sprintf("%s (%s)", name(c.Host), name(c.Address)))
		}
	}
	return all
}

func names(list []string) (all []string) {
	for _, s := range list {
		all = append(all, name(s))
	}
	return all
}

func queueIDs(held []incident.Held) (all []string) {
	for _, h := range held {
		all = append(all, name(h.QueueID))
	}
	return all
}

// some lists names of which no more than most were kept.
func some(list []string, most int) string {
	s := strings.Join(list, ", ")
	if len(list) >= most {
		s += " and maybe others"
	}
	return s
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// span is a duration for people: whole days, or hours, or minutes.
func span(d time.Duration) string {
	if d < time.Hour {
		return count(uint64(max(d, time.Minute)/time.Minute), "minute")
	}
	if d >= 48*time.Hour {
		return count(uint64(d/(24*time.Hour)), "day")
	}
	return count(uint64(d/time.Hour), "hour")
}

func count(n uint64, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
