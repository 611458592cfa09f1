package incident

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// Fact is something known of an incident, for people.
type Fact struct {
	// Key names it, as in "Expected".
	Key string
	// Values are its value, or several where it is a list.
	Values []string
}

// Facts lists what is known of an incident, as command, alert and page show it.
func (i *Incident) Facts() []Fact {
	e, actions := &i.Evidence, counts(i.Done)
	if i.Undone > 0 {
		actions = append(actions, fmt.Sprintf("%d ended before the action", i.Undone))
	}
	all := []Fact{
		{"State", []string{i.state()}},
		{"Messages", []string{fmt.Sprintf("%d since %s, the last at %s UTC", i.Messages, Stamp(i.Opened), Stamp(i.Last))}},
		{"Expected", []string{words.Expected(&tlsstate.Verdict{Kind: i.Kind, Required: e.Required, Pin: e.Pin})}},
		{"Seen", []string{strings.Join(counts(i.Seen), ", ")}},
		{"Evidence", []string{i.strength()}},
		{"Actions", []string{strings.Join(actions, ", ")}},
		{"Clients", some(i.Clients, Client.String, MaxClients)},
		{"Sender domains", some(i.From, func(s string) string { return s }, MaxFrom)},
		{"Put into the hold queue", some(i.Held, func(h Held) string { return h.QueueID }, MaxHeld)},
	}
	if i.Identity.Kind == tlsstate.Destination {
		all[6].Key = "Its hosts that failed"
	}
	return slices.DeleteFunc(all, func(f Fact) bool { return strings.Join(f.Values, "") == "" })
}

func (i *Incident) state() string {
	s := "open"
	if !i.IsOpen() {
		s = fmt.Sprintf("closed at %s UTC: %s", Stamp(i.Closed), i.ClosedBy.Words())
	}
	if i.KnownPlaintext {
		s += ", known plaintext"
	}
	if i.Reopened > 0 {
		s += ", reopened " + words.Count(i.Reopened, "time")
	}
	return s
}

// reasons are why an incident closed, in words.
var reasons = map[Reason]string{
	Met: "TLS as expected again", Quiet: "no downgrade for 24 hours", Unpinned: "an operator dropped the pin",
	NoRoom: "no longer followed, because there are too many incidents",
}

// Words states why an incident closed.
func (r Reason) Words() string { return cmp.Or(reasons[r], string(r)) }

// strength is how strong the evidence is, and why.
func (i *Incident) strength() string {
	e := &i.Evidence
	met := "met the pin " + words.On(e.Days, e.Last)
	if e.Since > 0 {
		met += ", pinned since " + e.Since.String()
	}
	breadth := fmt.Sprintf("about %s in %s", words.Count(e.Addresses, "address"), words.Count(e.Networks, "network"))
	switch {
	case e.Required:
		return "none needed, the configuration requires it"
	case i.Identity.Kind == tlsstate.Destination:
		return "mail to it " + met
	case i.Identity.Kind == tlsstate.Address:
		return "strong, this address itself " + met
	case i.KnownPlaintext:
		return "weak, other addresses of the domain were seen with TLS, these are known for plaintext"
	case e.Broad:
		return "good, " + breadth + " of this domain came with TLS"
	case i.Identity.Kind == tlsstate.Domain:
		return "weak, only " + breadth + " of this domain came with TLS"
	}
	return "weak, the sender's domain by SPF, not the client itself"
}

// counts lists what is not zero, as in "header 3", "quarantine 1".
func counts[K ~uint8](c By[K, uint64]) (all []string) {
	for i, n := range c {
		if n > 0 {
			all = append(all, fmt.Sprintf("%v %d", K(i), n))
		}
	}
	return all
}

// some names those of a list, of which at most most are kept.
func some[T any](list []T, name func(T) string, most int) (all []string) {
	for _, v := range list {
		all = append(all, name(v))
	}
	if len(list) >= most {
		all = append(all, "and possibly others")
	}
	return all
}

// Write writes all of an incident for people, a line for each fact.
func (i *Incident) Write(w io.Writer) {
	line := func(key, value string) { fmt.Fprintf(w, "  %-23s %s\n", key, value) }
	fmt.Fprintf(w, "Incident %d: %s %s\n", i.ID, i.Identity, words.Kind(i.Identity.Kind, i.Kind))
	line("first message", i.Words)
	for _, f := range i.Facts() {
		for _, v := range f.Values {
			line(strings.ToLower(f.Key), v)
		}
	}
}

// Stamp is a time in UTC, to the minute, for people.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }
