package incident

import (
	"encoding/json"
	"errors"
	"fmt"

	"tlsratchet/internal/clean"
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

// maxNumber is the highest number: what every reader of JSON takes exactly.
const maxNumber uint64 = 1 << 53

var errNumber = fmt.Errorf("number not from 1 to %d", maxNumber)

// check returns what is out of bounds.
func (i *Incident) check() error {
	switch {
	case i.ID == 0 || i.ID > maxNumber:
		return errNumber
	case i.Identity.IsZero():
		return errors.New("incident without an identity")
	case i.Reopened < 0:
		return fmt.Errorf("reopened %d times", i.Reopened)
	case len(i.Clients) > MaxClients || len(i.From) > MaxFrom || len(i.Held) > MaxHeld:
		return errors.New("too many names")
	case i.ClosedBy != StillOpen && reasons[i.ClosedBy] == "":
		return fmt.Errorf("closed by %.32q", string(i.ClosedBy))
	case (i.ClosedBy == StillOpen) != i.Closed.IsZero():
		return errors.New("neither open nor closed")
	}
	return nil
}

// clean cleans all texts.
func (i *Incident) clean() {
	i.Words = clean.Text(i.Words, maxText+3)
	for n := range i.From {
		i.From[n] = clean.Text(i.From[n], 255+3)
	}
	for n, c := range i.Clients {
		i.Clients[n] = Client{clean.Text(c.Address, 64), clean.Text(c.Host, 255)}
	}
	for n := range i.Held {
		i.Held[n].QueueID = queueID(i.Held[n].QueueID)
	}
}

// By has a count V for each K, which is its index. In JSON it is an object without
// zeros.
type By[K ~uint8, V comparable] [8]V

// The counts of messages: by what was done to them, by the level that came, by
// the verdict on them.
type (
	ByAction  = By[tlsstate.Action, uint64]
	ByLevel   = By[tlsstate.Level, uint64]
	ByOutcome = By[tlsstate.Outcome, uint64]
)

// MarshalJSON implements [json.Marshaler].
func (c By[K, V]) MarshalJSON() ([]byte, error) {
	m := make(map[K]V)
	for i, n := range c {
		if n != *new(V) {
			m[K(i)] = n
		}
	}
	return json.Marshal(m)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (c *By[K, V]) UnmarshalJSON(b []byte) error {
	var m map[K]V
	err := json.Unmarshal(b, &m)
	for k, n := range m {
		c[k] = n
	}
	return err
}
