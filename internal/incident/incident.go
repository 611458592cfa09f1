package incident

import (
	"slices"
	"strings"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// Bounds of the lists of an incident.
const (
	// MaxClients, MaxFrom and MaxHeld are how many clients, sender domains and
	// queue ids are named; the counts are of all.
	MaxClients, MaxFrom, MaxHeld = 16, 8, 32

	maxText = 600
)

// Reason is why an incident closed.
type Reason string

// The reasons.
const (
	// StillOpen is that of an incident that has not closed.
	StillOpen Reason = ""
	// Met: an address in it met the pin again.
	Met Reason = "met"
	// Quiet: no downgrade came for 24 hours.
	Quiet Reason = "quiet"
	// Unpinned: an operator dropped the pin.
	Unpinned Reason = "unpinned"
	// NoRoom: there were too many, and it was left out. Where it goes on, that is
	// reported as of any other.
	NoRoom Reason = "no_room"
)

// PinStands reports whether an incident closed though its pin was neither met nor
// dropped.
func (r Reason) PinStands() bool { return r == Quiet || r == NoRoom }

// Incident is a downgrade of one identity, from the first message on. All
// texts are clean. Its JSON form is documented in docs/alerts.md.
type Incident struct {
	// ID numbers incidents from 1 on, in the order in which they opened.
	ID       uint64            `json:"id"`
	Identity tlsstate.Identity `json:"identity"`
	// KnownPlaintext marks the one incident that gathers addresses behind a
	// domain that were never seen with TLS. It is reported once.
	KnownPlaintext bool `json:"known_plaintext,omitempty"`
	// Kind is the worst that came.
	Kind tlsstate.Downgrade `json:"kind"`
	// Cap is the most that the evidence allows, as in [tlsstate.Verdict].
	Cap tlsstate.Action `json:"cap"`
	// Evidence is that of the newest message: see [tlsstate.Verdict].
	Evidence Evidence `json:"evidence"`
	// Words is the verdict on the first message in words.
	Words string `json:"words"`

	// Opened and Last are the times of the first and the last downgrade.
	Opened time.Time `json:"opened"`
	Last   time.Time `json:"last"`
	// Closed is zero, and ClosedBy StillOpen, for one that is open.
	Closed   time.Time `json:"closed,omitzero"`
	ClosedBy Reason    `json:"closed_by,omitempty"`
	// Reopened counts how often it went on within a day of closing.
	Reopened int `json:"reopened,omitempty"`

	// Messages counts downgraded messages; Done those of them by what was done
	// to them, indexed by action; Undone those that ended before the action
	// came to its stage. Seen counts them by the level that came.
	Messages uint64   `json:"messages"`
	Done     ByAction `json:"done,omitzero"`
	Undone   uint64   `json:"undone,omitempty"`
	Seen     ByLevel  `json:"seen,omitzero"`

	// Clients and From are some of the clients and sender domains.
	Clients []Client `json:"clients,omitempty"`
	From    []string `json:"from,omitempty"`
	// Held are the newest of the messages that were put into the hold queue.
	// Only Postfix knows whether they are still there.
	Held []Held `json:"held,omitempty"`
	// Refused is when the first message was refused for now; zero for none.
	Refused time.Time `json:"refused,omitzero"`
	// Reported is what was reported of it. It is for this package.
	Reported Reported `json:"reported"`
}

// Evidence is what the pin stands on.
type Evidence struct {
	// Pin is the level expected; for kind unauthenticated it is a certificate.
	Pin tlsstate.Level `json:"pin"`
	// Required: the configuration requires Pin; it is not from memory.
	Required bool `json:"required,omitempty"`
	// Since is the day the pin formed, Last the last day it was met: 0 for a
	// required level.
	Since tlsstate.Day `json:"since,omitzero"`
	Last  tlsstate.Day `json:"last,omitzero"`
	// Days is on how many of the last 64 days it was met, Below on how many
	// days the peer stayed below it since Last.
	Days  int `json:"days,omitempty"`
	Below int `json:"below,omitempty"`
	// Networks and Addresses are about how many came with TLS under a
	// domain; Broad: something supports its full action, these or another
	// [tlsstate.Support].
	Networks  int  `json:"networks,omitempty"`
	Addresses int  `json:"addresses,omitempty"`
	Broad     bool `json:"broad,omitempty"`
}

// Client is one SMTP client.
type Client struct {
	// Address is the name of its address identity; Host is its confirmed name,
	// or "".
	Address string `json:"address"`
	Host    string `json:"host,omitempty"`
}

// String names the client as Postfix's log does.
func (c Client) String() string {
	if c.Host == "" {
		return "unknown[" + c.Address + "]"
	}
	return c.Host + "[" + c.Address + "]"
}

// Held is a message in Postfix's hold queue.
type Held struct {
	QueueID string    `json:"queue_id"`
	At      time.Time `json:"at"`
	// Reminded counts the reminders of it.
	Reminded uint8 `json:"reminded,omitempty"`
}

// Reported is what was reported of an incident so far.
type Reported struct {
	// Open: the newest report was that it is open.
	Open bool `json:"open"`
	// At is the time of the newest report, Messages their number then.
	At       time.Time `json:"at,omitzero"`
	Messages uint64    `json:"messages,omitempty"`
	// Waiting counts the reports that it is still refused.
	Waiting uint8 `json:"waiting,omitempty"`
	// Released: the release of the pin was reported.
	Released bool `json:"released,omitempty"`
	// Held is the time of the newest reminder of held mail.
	Held time.Time `json:"held,omitzero"`
}

// IsOpen reports whether the incident is open.
func (i *Incident) IsOpen() bool { return i.ClosedBy == StillOpen }

// Strongest returns the strongest action that was applied to its messages.
func (i *Incident) Strongest() (a tlsstate.Action) {
	for n := range i.Done {
		if i.Done[n] > 0 {
			a = tlsstate.Action(n)
		}
	}
	return a
}

// PinDays is for how many days the pin was met before the incident. What the
// configuration requires counts as the longest: pins are cheap for whoever makes
// many incidents to hide another one, but long pins are not.
func (i *Incident) PinDays() int {
	if i.Evidence.Required {
		return int(tlsstate.DayOf(i.Opened))
	}
	return int(i.Evidence.Last) - int(i.Evidence.Since)
}

// clone returns a copy that shares nothing.
func (i *Incident) clone() Incident {
	c := *i
	c.Clients, c.From, c.Held = slices.Clone(i.Clients), slices.Clone(i.From), slices.Clone(i.Held)
	return c
}

// gather adds a message to the incident.
func (i *Incident) gather(e *ratchet.Event) {
	v := &e.Decision.Verdict
	if i.Messages == 0 {
		i.Words = words.Verdict(v)
	}
	if i.Kind == tlsstate.NoDowngrade || v.Kind < i.Kind { // the worst is the first
		i.Kind = v.Kind
	}
	i.Cap = max(i.Cap, v.Cap)
	i.Evidence = evidence(v)
	if e.Session.At.After(i.Last) {
		i.Last = e.Session.At
	}
	i.Messages++
	i.Seen[v.Seen.Level]++
	i.countAction(e)
	i.Clients = appendNew(i.Clients, Client{Address: e.Session.Peer.Address.Name, Host: e.Session.Peer.Host}, MaxClients)
	if e.Session.From != "" {
		i.From = appendNew(i.From, senderDomain(e.Session.From), MaxFrom)
	}
}

// countAction counts what was done to the message.
func (i *Incident) countAction(e *ratchet.Event) {
	if !e.Done {
		i.Undone++
		return
	}
	i.Done[e.AppliedAction()]++
	switch {
	case e.AppliedAction() == tlsstate.Quarantine && e.QueueID != "":
		if len(i.Held) >= MaxHeld {
			i.Held = slices.Delete(i.Held, 0, 1)
		}
		i.Held = append(i.Held, Held{QueueID: e.QueueID, At: e.Session.At})
	case e.AppliedAction() == tlsstate.Tempfail && i.Refused.IsZero():
		i.Refused = e.Session.At
	}
}

func evidence(v *tlsstate.Verdict) Evidence {
	return Evidence{
		Pin: v.Pin, Required: v.Required,
		Since: v.Since, Last: v.Last, Days: v.Days, Below: v.Below,
		Networks: v.Networks.Estimate(), Addresses: v.Addresses.Estimate(),
		Broad: v.Support > tlsstate.NoSupport,
	}
}

// appendNew appends a value that the list does not have, while it is shorter
// than most.
func appendNew[T comparable](list []T, value T, most int) []T {
	if len(list) >= most || slices.Contains(list, value) {
		return list
	}
	return append(list, value)
}

// senderDomain returns the domain of a MAIL FROM as it came, clean.
func senderDomain(from string) string {
	from = strings.TrimSuffix(from, ">")
	domain := strings.ToLower(from[strings.LastIndexByte(from, '@')+1:])
	return clean.Text(strings.TrimPrefix(domain, "<"), 255)
}

// own returns an event that owns what it points to, which is valid during a call
// only otherwise. Its time is in UTC, its queue id one of Postfix's.
func own(e ratchet.Event) *ratchet.Event {
	s, d := *e.Session, *e.Decision
	s.At, e.QueueID = s.At.UTC(), queueID(e.QueueID)
	e.Session, e.Decision = &s, &d
	return &e
}

// queueID returns Postfix's queue id, or "" for what is none: it becomes part of a
// command.
func queueID(s string) string {
	if clean.IsWord(s) {
		return s
	}
	return ""
}

// What is the kind of a [Change], as one lower-case word.
type What string

// The kinds of change. The last three are of no incident.
const (
	// Opened: an incident opened, or went on after its end was reported.
	Opened What = "opened"
	// Grown: it got worse (a worse kind, stronger evidence, a stronger action),
	// ten times larger, or a day older.
	Grown What = "grown"
	// Waiting: its peer has been refused (tempfail) for a day, or for three: the
	// senders will soon get their mail back.
	Waiting What = "waiting"
	// Holding: some of its mail was put into the hold queue a day ago, or three:
	// see Change.Held.
	Holding What = "holding"
	// Closed: it closed.
	Closed What = "closed"
	// Pinned: a pin formed.
	Pinned What = "pinned"
	// Lapsed: a peer came below a pin that was not met for too long to hold.
	Lapsed What = "lapsed"
	// Released: a pin no longer holds, because its peer stayed below it.
	Released What = "released"
)

// Change is something to report. It shares nothing with the [Book].
type Change struct {
	What     What
	At       time.Time
	Identity tlsstate.Identity
	// Words is the verdict of the message that led to it, clean; "" where time
	// alone did.
	Words string
	// Incident is the incident as it was then; the zero Incident for Pinned,
	// Lapsed and Released.
	Incident Incident
	// Held are the messages that Holding is about.
	Held []Held
}
