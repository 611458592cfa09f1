package incident

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tlsratchet/internal/statefile"
	"tlsratchet/internal/trouble"
)

// ErrNewerVersion: a newer tlsratchet wrote the file. It is unchanged.
var ErrNewerVersion = errors.New("written by a newer version")

// saved is the content of the file: a first line, and one for each incident, from
// the newest. So a damaged one costs no other.
type saved struct {
	Version int `json:"version"`
	// Numbers is the highest number that may have been given.
	Numbers   uint64     `json:"numbers,omitempty"`
	Tally     Tally      `json:"tally"`
	Incidents []Incident `json:"-"`
}

// ours is the version of the file.
const ours = 1

// write writes the file.
func (s saved) write(file statefile.File) error {
	lines := []any{s}
	for i := range s.Incidents {
		lines = append(lines, &s.Incidents[i])
	}
	return file.Write(lines...)
}

// read fills the book from its file, and returns what is wrong with damaged lines.
func (b *Book) read() (damaged []error, err error) {
	lines, err := b.o.File.Lines()
	if err != nil || lines == nil {
		return nil, err
	}
	s := saved{Version: ours}
	var all []*Incident
	if err := json.Unmarshal(lines[0], &s); err != nil || s.Numbers > maxNumber {
		damaged = append(damaged, cmp.Or(err, errNumber))
		s.Numbers = clockNumber()
	}
	if s.Version != ours {
		return nil, fmt.Errorf("%w: version %d, this one reads %d", ErrNewerVersion, s.Version, ours)
	}
	for _, line := range lines[1:min(len(lines), 1+maxIncidents)] {
		i := new(Incident)
		if err := json.Unmarshal(line, i); err != nil {
			damaged = append(damaged, err)
			continue
		}
		all = append(all, i)
	}
	b.ledger.restore(all, s.Numbers)
	b.tally.restore(s.Tally)
	return damaged, nil
}

// setAside renames a file with damaged lines, so that nothing of it is overwritten.
func (b *Book) setAside(damaged []error) error {
	aside, removed, err := b.o.File.SetAside(time.Now(), nil)
	if err != nil {
		return errors.Join(damaged[0], err)
	}
	b.ledger.changes++ // what is left is to be written
	b.o.Log.Error("damaged lines in the file of incidents; the file is renamed, and the intact lines go into a new one",
		"renamed", aside, "removed", removed, "damaged", len(damaged), "incidents", len(b.ledger.all), "error", damaged[0])
	return nil
}

const (
	// writeEvery is how late incidents are written at most, but for a file that
	// is slow to write: then nine tenths of the time are spared.
	writeEvery = time.Second
	// tallyEvery is how often the tally is written when no incident changes.
	tallyEvery = time.Minute
)

// write is the goroutine that writes what changed. It is not the one of fold, so
// that a stuck disk delays nothing.
func (b *Book) write() {
	defer close(b.written)
	writing := trouble.State{
		Begins: "could not write the incidents; they stay in memory and are written later",
		Ends:   "incidents are written to the disk again",
	}
	pause := writeEvery
	for open := true; open; {
		select {
		case <-time.After(pause):
		case <-b.folded:
			open = false
		}
		began := time.Now()
		b.ended = b.writeChanged(!open)
		writing.Note(b.o.Log, b.ended)
		pause = max(writeEvery, 10*time.Since(began))
	}
}

// spare is how many numbers the file of a book that is open states as given beyond
// those that were: no number is given twice, though the process is killed. Not
// more incidents than this are stored.
const spare = maxIncidents

// marks are what the file holds: the changes and messages up to some count.
type marks struct {
	changes, messages, numbers uint64
	at                         time.Time
}

// writeChanged writes everything if an incident changed since the last time. If
// only messages were counted, it does so once in a while, and the last time.
func (b *Book) writeChanged(last bool) error {
	m := marks{messages: b.tally.counted.Load(), at: time.Now()} // first: what is written then has these at least
	b.mu.Lock()
	m.changes, m.numbers = b.ledger.changes, b.ledger.last
	b.mu.Unlock()
	if !last {
		m.numbers += spare
	}
	due := m.messages != b.saved.messages && (last || time.Since(b.saved.at) >= tallyEvery)
	if m.changes == b.saved.changes && m.numbers == b.saved.numbers && !due {
		return nil
	}
	err := b.save(saved{ours, m.numbers, b.tally.all(), b.All()})
	if err == nil {
		b.saved = m
	}
	return err
}
