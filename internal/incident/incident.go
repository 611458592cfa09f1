package incident

import (
	"slices"
	"strings"
	"time"

	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// Bounds of what an incident keeps beside its counts.
const (
	// MaxClients, MaxFrom and MaxHeld are how many clients, sender domains and
	// queue ids are named; the counts are of all.
	MaxClients, MaxFrom, MaxHeld = 16, 8, 32

	maxText  = 600
	maxQueue = 64
)

// The numbers of actions and levels.
const (
	actions = int(tlsstate.Reject) + 1
	levels  = int(tlsstate.TLS13) + 1
)

// Reason tells why an incident closed.
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
)

// Incident is a downgrade of one identity, from the first message on. All
// texts are clean. Its JSON form is documented in docs/alerts.md.
type Incident struct {
	// ID numbers incidents from 1 on, in the order in which they opened.
	ID       uint64
	Identity tlsstate.Identity
	// KnownPlaintext marks the one incident that gathers addresses behind a
	// domain that were never seen with TLS. It is told once and for all.
	KnownPlaintext bool
	// Kind is the worst that came.
	Kind tlsstate.Downgrade
	// Cap is the most that the evidence allows, as in [tlsstate.Verdict].
	Cap tlsstate.Action

	// Evidence is that of the newest message: see [tlsstate.Verdict].
	Evidence Evidence
	// Words is the verdict on the first message in words.
	Words string

	// Opened and Last are the times of the first and the last downgrade.
	Opened, Last time.Time
	// Closed is zero, and ClosedBy StillOpen, for one that is open.
	Closed   time.Time
	ClosedBy Reason
	// Reopened counts how often it went on within a day of closing.
	Reopened int

	// Messages counts downgraded messages; Done those of them by what was done
	// to them, indexed by action; Undone those that ended before the action
	// came to its stage. Seen counts them by the level that came.
	Messages uint64
	Done     [actions]uint64
	Undone   uint64
	Seen     [levels]uint64

	// Clients and From are a few of the clients and sender domains.
	Clients []Client
	From    []string
	// Held are the newest of the messages that were put into the hold queue.
	// Whether they are still there is for Postfix to say.
	Held []Held
	// Refused is when the first message was refused for now; zero for none.
	Refused time.Time

	told told
}

// Evidence is what the pin stands on.
type Evidence struct {
	// Pin is the level expected; for kind unauthenticated it is a certificate.
	Pin tlsstate.Level
	// Required says that Pin is a wish of the configuration, not memory.
	Required bool
	// Since is the day the pin formed, Last the last day it was met: 0 for a
	// required level.
	Since, Last tlsstate.Day
	// Days is on how many of the last 64 days it was met, Below on how many
	// days the peer stayed below it since Last.
	Days, Below int
	// Networks and Addresses are about how many hold pins of their own under a
	// domain; Broad says that they are enough to speak with full force.
	Networks, Addresses int
	Broad               bool
}

// Client is one SMTP client.
type Client struct {
	// Address is the name of its address identity: an IPv4 address or an IPv6
	// /64. Host is its confirmed name, or "".
	Address, Host string
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
	QueueID string
	At      time.Time
	// reminded counts how often people were reminded of it.
	reminded uint8
}

// told is what people were told of an incident so far.
type told struct {
	// open says that the newest word was that it is open.
	open     bool
	at       time.Time
	messages uint64
	// waiting counts the words that it is still refused; released says that
	// the release of the pin was told.
	waiting  uint8
	released bool
	// held is when people were last reminded of held mail.
	held time.Time
}

// IsOpen tells whether the incident is open.
func (i *Incident) IsOpen() bool { return i.ClosedBy == StillOpen }

// clone returns a copy that shares nothing.
func (i *Incident) clone() Incident {
	c := *i
	c.Clients, c.From, c.Held = slices.Clone(i.Clients), slices.Clone(i.From), slices.Clone(i.Held)
	return c
}

// gather adds a message to the incident.
func (i *Incident) gather(n *note) {
	v := &n.verdict
	if i.Messages == 0 {
		i.Words = text(words.Verdict(v), maxText)
	}
	if i.Kind == tlsstate.NoDowngrade || v.Kind < i.Kind { // the worst is the first
		i.Kind = v.Kind
	}
	i.Cap = max(i.Cap, v.Cap)
	i.Evidence = evidence(v)
	if n.at.After(i.Last) {
		i.Last = n.at
	}
	i.Messages++
	i.Seen[min(int(v.Seen.Level), levels-1)]++
	i.done(n)
	i.Clients = few(i.Clients, Client{Address: n.address.Name, Host: n.host}, MaxClients)
	if n.from != "" {
		i.From = few(i.From, senderDomain(n.from), MaxFrom)
	}
}

// done counts what was done to the message.
func (i *Incident) done(n *note) {
	if !n.done {
		i.Undone++
		return
	}
	i.Done[min(int(n.action), actions-1)]++
	switch {
	case n.action == tlsstate.Quarantine && n.queueID != "":
		if len(i.Held) >= MaxHeld {
			i.Held = slices.Delete(i.Held, 0, 1)
		}
		i.Held = append(i.Held, Held{QueueID: n.queueID, At: n.at})
	case n.action == tlsstate.Tempfail && i.Refused.IsZero():
		i.Refused = n.at
	}
}

func evidence(v *tlsstate.Verdict) Evidence {
	return Evidence{
		Pin: v.Pin, Required: v.Required,
		Since: v.Since, Last: v.Last, Days: v.Days, Below: v.Below,
		Networks: v.Networks.Estimate(), Addresses: v.Addresses.Estimate(),
		Broad: v.Identity.Kind == tlsstate.Domain && v.Broad(),
	}
}

// few appends what is new, while there are fewer than most.
func few[T comparable](list []T, one T, most int) []T {
	if len(list) >= most || slices.Contains(list, one) {
		return list
	}
	return append(list, one)
}

// senderDomain returns the domain of a MAIL FROM as it came, clean.
func senderDomain(from string) string {
	from = strings.TrimSuffix(from, ">")
	domain := strings.ToLower(from[strings.LastIndexByte(from, '@')+1:])
	return text(strings.TrimPrefix(domain, "<"), 255)
}
