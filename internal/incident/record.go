package incident

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tlsratchet/tlsstate"
)

// record is an incident in JSON: on disk, in alerts and for commands. Days are
// as 2026-09-21, times as RFC 3339, counts that are zero left out.
type record struct {
	ID             uint64            `json:"id"`
	Identity       string            `json:"identity"`
	KnownPlaintext bool              `json:"known_plaintext,omitempty"`
	Kind           string            `json:"kind"`
	Cap            string            `json:"cap"`
	Evidence       evidenceJSON      `json:"evidence"`
	Words          string            `json:"words"`
	Opened         time.Time         `json:"opened"`
	Last           time.Time         `json:"last"`
	Closed         time.Time         `json:"closed,omitzero"`
	ClosedBy       Reason            `json:"closed_by,omitempty"`
	Reopened       int               `json:"reopened,omitempty"`
	Messages       uint64            `json:"messages"`
	Done           map[string]uint64 `json:"done,omitempty"`
	Undone         uint64            `json:"undone,omitempty"`
	Seen           map[string]uint64 `json:"seen,omitempty"`
	Clients        []clientJSON      `json:"clients,omitempty"`
	From           []string          `json:"from,omitempty"`
	Held           []heldJSON        `json:"held,omitempty"`
	Refused        time.Time         `json:"refused,omitzero"`
	Told           toldJSON          `json:"told"`
}

type evidenceJSON struct {
	Pin       string `json:"pin"`
	Required  bool   `json:"required,omitempty"`
	Since     string `json:"since,omitempty"`
	Last      string `json:"last,omitempty"`
	Days      int    `json:"days,omitempty"`
	Below     int    `json:"below,omitempty"`
	Networks  int    `json:"networks,omitempty"`
	Addresses int    `json:"addresses,omitempty"`
	Broad     bool   `json:"broad,omitempty"`
}

type clientJSON struct {
	Address string `json:"address"`
	Host    string `json:"host,omitempty"`
}

type heldJSON struct {
	QueueID  string    `json:"queue_id"`
	At       time.Time `json:"at"`
	Reminded uint8     `json:"reminded,omitempty"`
}

type toldJSON struct {
	Open     bool      `json:"open"`
	At       time.Time `json:"at,omitzero"`
	Messages uint64    `json:"messages,omitempty"`
	Waiting  uint8     `json:"waiting,omitempty"`
	Released bool      `json:"released,omitempty"`
	Held     time.Time `json:"held,omitzero"`
}

// MarshalJSON returns the documented form.
func (i Incident) MarshalJSON() ([]byte, error) {
	e := &i.Evidence
	r := record{
		ID: i.ID, Identity: i.Identity.String(), KnownPlaintext: i.KnownPlaintext,
		Kind: i.Kind.String(), Cap: i.Cap.String(), Words: i.Words,
		Evidence: evidenceJSON{
			Pin: e.Pin.String(), Required: e.Required, Since: dayText(e.Since), Last: dayText(e.Last),
			Days: e.Days, Below: e.Below, Networks: e.Networks, Addresses: e.Addresses, Broad: e.Broad,
		},
		Opened: i.Opened, Last: i.Last, Closed: i.Closed, ClosedBy: i.ClosedBy, Reopened: i.Reopened,
		Messages: i.Messages, Undone: i.Undone, From: i.From, Refused: i.Refused,
		Done: named(i.Done[:], func(a int) string { return tlsstate.Action(a).String() }),
		Seen: named(i.Seen[:], func(l int) string { return tlsstate.Level(l).String() }),
		Told: toldJSON{i.told.open, i.told.at, i.told.messages, i.told.waiting, i.told.released, i.told.held},
	}
	for _, c := range i.Clients {
		r.Clients = append(r.Clients, clientJSON(c))
	}
	for _, h := range i.Held {
		r.Held = append(r.Held, heldJSON{h.QueueID, h.At, h.reminded})
	}
	return json.Marshal(r)
}

// UnmarshalJSON is the inverse of MarshalJSON. Whatever the bytes, the result
// is an incident within its bounds and of clean texts, or an error.
func (i *Incident) UnmarshalJSON(b []byte) error {
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	read, err := r.incident()
	if err != nil {
		return err
	}
	*i = *read
	return nil
}

func (r *record) incident() (*Incident, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	i := &Incident{
		ID: r.ID, KnownPlaintext: r.KnownPlaintext, Words: text(r.Words, maxText+3),
		Opened: r.Opened, Last: r.Last, Closed: r.Closed, ClosedBy: r.ClosedBy, Reopened: r.Reopened,
		Messages: r.Messages, Undone: r.Undone, Refused: r.Refused,
		told: told{r.Told.Open, r.Told.At, r.Told.Messages, r.Told.Waiting, r.Told.Released, r.Told.Held},
	}
	for _, from := range r.From {
		i.From = append(i.From, text(from, 255+3))
	}
	for _, c := range r.Clients {
		i.Clients = append(i.Clients, Client{text(c.Address, 64), text(c.Host, 255)})
	}
	for _, h := range r.Held {
		i.Held = append(i.Held, Held{queueID(h.QueueID), h.At, h.Reminded})
	}
	return i, errors.Join(r.words(i), r.Evidence.words(&i.Evidence))
}

// check tells whether the record is within bounds.
func (r *record) check() error {
	switch {
	case r.ID == 0:
		return errors.New("incident without a number")
	case r.Reopened < 0:
		return fmt.Errorf("reopened %d times", r.Reopened)
	case len(r.Clients) > MaxClients || len(r.From) > MaxFrom || len(r.Held) > MaxHeld:
		return errors.New("more names than are kept")
	case r.ClosedBy != StillOpen && r.ClosedBy != Met && r.ClosedBy != Quiet && r.ClosedBy != Unpinned:
		return fmt.Errorf("closed by %.32q", string(r.ClosedBy))
	case (r.ClosedBy == StillOpen) != r.Closed.IsZero():
		return errors.New("neither open nor closed")
	}
	return nil
}

// words reads the words of a record.
func (r *record) words(i *Incident) error {
	var errs [5]error
	var kind int
	i.Identity, errs[0] = tlsstate.ParseIdentity(r.Identity)
	kind, errs[1] = index(int(tlsstate.Unauthenticated)+1, r.Kind, func(k int) string { return tlsstate.Downgrade(k).String() })
	i.Kind = tlsstate.Downgrade(kind)
	i.Cap, errs[2] = tlsstate.ParseAction(r.Cap)
	errs[3] = counts(i.Done[:], r.Done, func(a int) string { return tlsstate.Action(a).String() })
	errs[4] = counts(i.Seen[:], r.Seen, func(l int) string { return tlsstate.Level(l).String() })
	return errors.Join(errs[:]...)
}

func (r *evidenceJSON) words(e *Evidence) error {
	*e = Evidence{
		Required: r.Required, Days: r.Days, Below: r.Below,
		Networks: r.Networks, Addresses: r.Addresses, Broad: r.Broad,
	}
	var errs [3]error
	e.Pin, errs[0] = tlsstate.ParseLevel(r.Pin)
	e.Since, errs[1] = parseDay(r.Since)
	e.Last, errs[2] = parseDay(r.Last)
	return errors.Join(errs[:]...)
}

// named returns counts by name, without zeros.
func named(counts []uint64, name func(int) string) map[string]uint64 {
	m := make(map[string]uint64)
	for i, n := range counts {
		if n != 0 {
			m[name(i)] = n
		}
	}
	return m
}

// counts is the inverse of named.
func counts(to []uint64, from map[string]uint64, name func(int) string) error {
	for word, n := range from {
		i, err := index(len(to), word, name)
		if err != nil {
			return err
		}
		to[i] = n
	}
	return nil
}

// dayText returns a day as 2026-09-21, or "" for never.
func dayText(d tlsstate.Day) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// parseDay is the inverse of dayText.
func parseDay(s string) (tlsstate.Day, error) {
	if s == "" {
		return 0, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("unknown day %.32q", s)
	}
	if d := tlsstate.DayOf(t); d.String() == s {
		return d, nil
	}
	return 0, fmt.Errorf("day %.32q is out of range", s)
}
