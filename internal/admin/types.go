package admin

import (
	"context"
	"errors"
	"iter"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// Admin is what an operator can do: on the memory itself ([Local.Admin]), or by the
// daemon ([Dial]). Sequences end with at most one error.
type Admin struct {
	// Peers lists peers in key order: kind, then name.
	Peers func(context.Context, Query) iter.Seq2[Row, error]
	// Peer returns all that is known of one identity. An error that wraps [ErrUnknownPeer]
	// names others that are near.
	Peer func(context.Context, tlsstate.Identity) (Detail, error)
	// Explain returns what would happen to a session now.
	Explain func(context.Context, Question) (Answer, error)
	// Do unpins or forgets, and leaves an audit line in the log.
	Do func(context.Context, Act) (Detail, error)
	// Import merges lines, in any order and any number of times: nothing is
	// undone. It leaves an audit line in the log with act ("import", "replay")
	// and who.
	Import func(ctx context.Context, act, who string, lines iter.Seq2[Line, error]) (Imported, error)
	// Breaker returns the circuit breaker's state. Unless the override is zero it sets
	// the answer first, and leaves an audit line in the log. Only a daemon has a
	// breaker: without one the error wraps [ErrNoDaemon].
	Breaker func(context.Context, Override) (ratchet.BreakerState, error)
	// Outbound does the same for what the sending side makes of an outage of our
	// own network.
	Outbound func(context.Context, Override) (outbound.Overview, error)
	// ExplainTo returns what Postfix is answered for a destination.
	ExplainTo func(ctx context.Context, destination string) (outbound.Explanation, error)
	// Close releases the memory or the connection.
	Close func() error
	// Alone reports that no daemon runs: until Close none can start, because the
	// history's file is locked.
	Alone bool

	export    func(context.Context, struct{}) iter.Seq2[Line, error]
	summary   func(context.Context, struct{}) (Summary, error)
	incidents func(context.Context, struct{}) ([]incident.Incident, error)
}

// Export lists the whole memory in key order.
func (a *Admin) Export(ctx context.Context) iter.Seq2[Line, error] { return a.export(ctx, struct{}{}) }

// Summary returns the memory as a whole, the daemon's listeners, and the counts
// of messages by day.
func (a *Admin) Summary(ctx context.Context) (Summary, error) { return a.summary(ctx, struct{}{}) }

// Incidents returns all incidents, the newest first: up to 10,000.
func (a *Admin) Incidents(ctx context.Context) ([]incident.Incident, error) {
	return a.incidents(ctx, struct{}{})
}

// Errors that a command distinguishes.
var (
	// ErrUnknownPeer: there is no history of that identity.
	ErrUnknownPeer = errors.New("no history of this peer")
	// ErrBadRequest: the question or act is not valid; usage.
	ErrBadRequest = errors.New("invalid input")
)

// Override is an operator's wish for the circuit breaker, or for the sending side.
type Override struct {
	// Answer is "armed", "softened" or "suspended", for the sending side
	// [outbound.Hold] or [outbound.Release]; "auto" ends the override.
	Answer string `json:"answer"`
	// Why and Who go into the log. Why must not be empty. The daemon takes Who
	// from the connection; what is claimed here counts for root alone.
	Why string `json:"why"`
	Who string `json:"who"`
}

// Summary is the memory as a whole, where the daemon listens, and what came.
type Summary struct {
	// Newest is the newest day in any history, "never" if there is none.
	Newest string `json:"newest"`
	// History is the file of a daemon's memory, or "memory" for none; "" where no
	// daemon runs.
	History string `json:"history,omitempty"`
	// Trouble states what is wrong with the history file, a line each; "" if all is
	// well.
	Trouble string `json:"trouble,omitempty"`
	// Listeners are as the configuration spells them; none where no daemon runs.
	Listeners []string `json:"listeners,omitempty"`
	// Tally counts messages by day, for people.
	Tally incident.Tally `json:"tally"`
}

// Query chooses peers. The zero value chooses all but listeners, and what was forgotten
// is never listed.
type Query struct {
	// Pinned chooses those with a pin that holds, Released those whose pin
	// formed and doesn't.
	Pinned, Released bool
	// Downgraded chooses those seen below a pin that holds, on the day on which
	// it was last met or since.
	Downgraded bool
	// Level, if Leveled, is the highest level seen in the last 64 days.
	Level   tlsstate.Level
	Leveled bool
	// Kind chooses one kind; 0 all but listeners.
	Kind tlsstate.Kind
	// Below chooses names that are this domain or end in it; with Addresses, the
	// addresses whose host name does.
	Below     string
	Addresses bool
	// Limit ends the list after so many; 0 is no limit.
	Limit int
}

// Row is one peer in a list.
type Row struct {
	Identity string `json:"identity"`
	// Host is the name of an address that DNS confirmed last.
	Host  string `json:"host,omitempty"`
	First string `json:"first"`
	Last  string `json:"last"`
	// Pin is the highest level whose pin formed, State whether it holds.
	Pin   string       `json:"pin,omitempty"`
	State string       `json:"state,omitempty"`
	Since tlsstate.Day `json:"since,omitzero"`
	// Days is on how many of the last 64 days each level was seen.
	Days map[string]int `json:"days"`
}

// Detail is all of one identity.
type Detail struct {
	Row
	// Strip has a character for each of the 64 days up to today, the oldest
	// first: the worst level of the day, "-" for none seen. See [StripLegend].
	Strip string           `json:"strip"`
	Pins  []PinDetail      `json:"pins"`
	Raw   tlsstate.History `json:"history"`
	// Words state the same for people, a sentence each.
	Words []string `json:"words"`
	// Later, after an act, states that it was done on this host, and that others
	// follow when the server that they share is back, or what keeps them from it;
	// else "".
	Later string `json:"later,omitempty"`
}

// PinDetail is one pin of an identity.
type PinDetail struct {
	Level string `json:"level"`
	State string `json:"state"`
	tlsstate.Pin

	words string // whether it holds, and why not
}

// Question is a session to explain.
type Question struct {
	// Name is a host or domain name, taken as confirmed by DNS, or what else an
	// operator may name a client by; Client an address. At least one must be there.
	Name, Client string
	// TLS is a protocol as Postfix names it ("TLSv1.2"), or "none".
	TLS string
	// From is the sender's address, for rows by sender; "" for none.
	From string
}

// Answer is what would happen to it.
type Answer struct {
	Outcome string `json:"outcome"`
	Kind    string `json:"kind,omitempty"`
	Action  string `json:"action"`
	// Speaks is the identity whose verdict decides.
	Speaks string `json:"speaks,omitempty"`
	// Rules are the steps to it, in the order in which they were taken.
	Rules []string `json:"rules"`
}

// Act is an operator's act on one identity.
type Act struct {
	// Do is "unpin" or "forget".
	Do       string            `json:"do"`
	Identity tlsstate.Identity `json:"identity"`
	// Why and Who are as in [Override].
	Why string `json:"why"`
	Who string `json:"who"`
}

// Line is one history in an export.
type Line struct {
	// Number is that of the line in a file that is imported; 0 elsewhere.
	Number   int               `json:"line,omitempty"`
	Identity tlsstate.Identity `json:"identity"`
	History  tlsstate.History  `json:"history"`
}

// Imported counts what an import did.
type Imported struct {
	Lines   int `json:"lines"`
	Changed int `json:"changed"`
	// Refused counts lines dated later than tomorrow, or with a name that no session or
	// delivery can have. Reasons are why, each with the number of its line, for the
	// first 20.
	Refused int      `json:"refused"`
	Reasons []string `json:"reasons,omitempty"`
	// Later is as in [Detail].
	Later string `json:"later,omitempty"`
}
