package alert

import (
	"fmt"
	"strconv"
	"strings"
	"time"

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

// noteOf is for changes without an incident.
func noteOf(c *incident.Change, host string) *Message {
	m := newMessage(host, name(c.What.String()+"-"+c.Identity.String()), c.What.String(), StatusNone, Info, c.At)
	event := map[incident.What]string{
		incident.Pinned:   "is pinned: TLS is expected from now on",
		incident.Lapsed:   "came below a pin that has lapsed",
		incident.Released: "is accepted again without TLS: its pin was released",
	}
	if c.Identity.Kind == tlsstate.Destination {
		event[incident.Released] = "gets its mail without TLS again: its pin was released"
	}
	m.Title, m.Text = inert(name(c.Identity.String())+" "+event[c.What], maxTitle), lines(c.Words)
	m.Next = commands(c.Identity, false)
	if c.Identity.Kind == tlsstate.Destination {
		m.Next = m.Next[:0]
	}
	return m
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
		return fmt.Sprintf("%s %s: %s so far", who, words.Kind(i.Kind), words.Count(i.Messages, "message"))
	case incident.Waiting:
		return fmt.Sprintf("%s has been refused for %s; senders will soon get their mail back", who, span(c.At.Sub(i.Refused)))
	case incident.Holding:
		return fmt.Sprintf("%s of %s may still be in the hold queue", words.Count(len(c.Held), "message"), who)
	case incident.Closed:
		switch i.ClosedBy {
		case incident.Met:
			return fmt.Sprintf("%s meets its pin again", who)
		case incident.Unpinned:
			return fmt.Sprintf("%s: pin dropped by an operator", who)
		}
		return fmt.Sprintf("%s: no downgrade for 24 hours", who)
	}
	return who + " " + words.Kind(i.Kind)
}

// peerName names the peer of an incident, with its host if there is only one.
func peerName(i *incident.Incident) string {
	if i.Identity.Kind == tlsstate.Address && len(i.Clients) == 1 && i.Clients[0].Host != "" {
		return fmt.Sprintf("%s (%s)", name(i.Clients[0].Host), name(i.Identity.Name))
	}
	return name(i.Identity.Name)
}

// text is what a postmaster needs to know of an incident.
func text(c *incident.Change) []string {
	i := &c.Incident
	if i.Identity.Kind == tlsstate.Destination {
		return destinationText(c)
	}
	verdict := i.Words
	if c.Words != "" {
		verdict = c.Words
	}
	e := &i.Evidence
	expected := words.Expected(&tlsstate.Verdict{Kind: i.Kind, Required: e.Required, Pin: e.Pin})
	all := []string{
		verdict + ".", "Expected: " + expected + ". Seen: " + counts(i.Seen[:], levelName) + ".",
		"Evidence: " + strength(i) + ".", times(i), "Actions: " + actions(i) + ".",
	}
	if len(i.Clients) > 0 {
		all = append(all, "Clients: "+some(i.Clients, client, incident.MaxClients)+".")
	}
	if len(i.From) > 0 {
		all = append(all, "Sender domains: "+some(i.From, name, incident.MaxFrom)+".")
	}
	held := c.Held
	if c.What != incident.Holding {
		held = i.Held
	}
	if len(held) > 0 {
		all = append(all, "Put into the hold queue: "+some(held, queueID, incident.MaxHeld)+".")
	}
	if c.What == incident.Waiting {
		all = append(all, "Senders usually give up after five days, some after one. If the peer has turned TLS off, unpin it. Otherwise its pin is released after policy.release_after_days, unless the configuration requires TLS of it.")
	}
	return all
}

// strength is how strong the evidence is, and why.
func strength(i *incident.Incident) string {
	e := &i.Evidence
	switch {
	case e.Required:
		return "none needed, the configuration requires it"
	case i.Identity.Kind == tlsstate.Address:
		return "strong, this address itself met the pin " + words.On(e.Days, e.Last)
	case i.KnownPlaintext:
		return "weak, only other addresses of the domain were seen with TLS, not these"
	case e.Broad:
		return fmt.Sprintf("good, about %s in %s of this domain came with TLS; these never did", words.Count(e.Addresses, "address"), words.Count(e.Networks, "network"))
	case i.Identity.Kind == tlsstate.Domain:
		return fmt.Sprintf("weak, only about %s in %s of this domain came with TLS; these never did", words.Count(e.Addresses, "address"), words.Count(e.Networks, "network"))
	}
	return "weak, the sender's domain by SPF, not the client itself"
}

func times(i *incident.Incident) string {
	s := fmt.Sprintf("Since %s: %s, the last at %s.", stamp(i.Opened), words.Count(i.Messages, "message"), stamp(i.Last))
	if !i.IsOpen() {
		s += " Closed at " + stamp(i.Closed) + "."
	}
	return s
}

// actions lists what was done to the messages.
func actions(i *incident.Incident) string {
	s := counts(i.Done[:], func(a int) string { return tlsstate.Action(a).String() })
	if i.Undone == 0 {
		return s
	}
	ended := words.Count(i.Undone, "message") + " ended before the action"
	if s == "none" {
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
		return "none"
	}
	return strings.Join(all, ", ")
}

// next are the commands: to explain, to unpin, to release held mail.
func next(c *incident.Change) []string {
	if c.Identity.Kind == tlsstate.Destination {
		return destinationNext(c)
	}
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

// maxNext is how many commands a message has: what a chat can show.
const maxNext = 10

// commands are those to explain and unpin an identity; none for a name that is
// not safe in a shell command.
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

// client names a host that an incident is about.
func client(c incident.Client) string {
	if c.Host == "" {
		return name(c.Address)
	}
	return fmt.Sprintf("%s (%s)", name(c.Host), name(c.Address))
}

func queueID(h incident.Held) string { return name(h.QueueID) }

// some lists names; at most most of them are recorded.
func some[T any](list []T, name func(T) string, most int) string {
	s := joined(list, name)
	if len(list) >= most {
		s += " and possibly others"
	}
	return s
}

func joined[T any](list []T, name func(T) string) string {
	var all []string
	for _, v := range list {
		all = append(all, name(v))
	}
	return strings.Join(all, ", ")
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

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
