package incident

import (
	"encoding/json"
	"errors"
	"fmt"

	"tlsratchet/tlsstate"
)

// UnmarshalJSON reads the JSON form of an incident: on disk, in alerts and for
// commands. Days are as 2026-09-21, times as RFC 3339; counts that are zero are
// left out. Whatever the bytes, the result is an incident within its bounds and
// of clean texts, or an error.
func (i *Incident) UnmarshalJSON(b []byte) error {
	type plain Incident // without this method
	var read Incident
	if err := json.Unmarshal(b, (*plain)(&read)); err != nil {
		return err
	}
	if err := read.check(); err != nil {
		return err
	}
	read.clean()
	*i = read
	return nil
}

// check returns what is out of bounds.
func (i *Incident) check() error {
	switch {
	case i.ID == 0 || i.Identity.IsZero():
		return errors.New("incident without a number or an identity")
	case i.Reopened < 0:
		return fmt.Errorf("reopened %d times", i.Reopened)
	case len(i.Clients) > MaxClients || len(i.From) > MaxFrom || len(i.Held) > MaxHeld:
		return errors.New("too many names")
	case i.ClosedBy != StillOpen && i.ClosedBy != Met && i.ClosedBy != Quiet && i.ClosedBy != Unpinned:
		return fmt.Errorf("closed by %.32q", string(i.ClosedBy))
	case (i.ClosedBy == StillOpen) != i.Closed.IsZero():
		return errors.New("neither open nor closed")
	}
	return nil
}

// clean cleans all texts.
func (i *Incident) clean() {
	i.Words = text(i.Words, maxText+3)
	for n := range i.From {
		i.From[n] = text(i.From[n], 255+3)
	}
	for n, c := range i.Clients {
		i.Clients[n] = Client{text(c.Address, 64), text(c.Host, 255)}
	}
	for n := range i.Held {
		i.Held[n].QueueID = queueID(i.Held[n].QueueID)
	}
}

// How many actions, levels and outcomes there are.
const (
	actions  = int(tlsstate.Reject) + 1
	levels   = int(tlsstate.TLS13) + 1
	outcomes = int(tlsstate.Downgraded) + 1
)

// ByAction counts messages by what was done to them; index by action. In JSON it
// is an object without zeros, as the other counts are.
type ByAction [actions]uint64

// MarshalJSON implements [json.Marshaler].
func (c ByAction) MarshalJSON() ([]byte, error) { return json.Marshal(named[tlsstate.Action](c[:])) }

// UnmarshalJSON is the inverse of MarshalJSON.
func (c *ByAction) UnmarshalJSON(b []byte) error { return readNamed[tlsstate.Action](b, c[:]) }

// ByLevel counts messages by the level that came; index by level.
type ByLevel [levels]uint64

// MarshalJSON implements [json.Marshaler].
func (c ByLevel) MarshalJSON() ([]byte, error) { return json.Marshal(named[tlsstate.Level](c[:])) }

// UnmarshalJSON is the inverse of MarshalJSON.
func (c *ByLevel) UnmarshalJSON(b []byte) error { return readNamed[tlsstate.Level](b, c[:]) }

// ByOutcome counts messages by the verdict on them; index by outcome.
type ByOutcome [outcomes]uint64

// MarshalJSON implements [json.Marshaler].
func (c ByOutcome) MarshalJSON() ([]byte, error) { return json.Marshal(named[tlsstate.Outcome](c[:])) }

// UnmarshalJSON is the inverse of MarshalJSON.
func (c *ByOutcome) UnmarshalJSON(b []byte) error { return readNamed[tlsstate.Outcome](b, c[:]) }

// named returns counts by name, without zeros.
func named[K ~uint8](counts []uint64) map[K]uint64 {
	m := make(map[K]uint64)
	for i, n := range counts {
		if n != 0 {
			m[K(i)] = n
		}
	}
	return m
}

// readNamed is the inverse of named. K has as many names as there are counts.
func readNamed[K ~uint8](b []byte, counts []uint64) error {
	var m map[K]uint64
	err := json.Unmarshal(b, &m)
	for k, n := range m {
		counts[k] = n
	}
	return err
}
