package incident

import (
	"errors"
	"fmt"
	"time"

	"tlsratchet/internal/statefile"
)

// ErrNewerVersion: a newer tlsratchet wrote the file. It is unchanged.
var ErrNewerVersion = errors.New("written by a newer version")

// saved is the content of the file. The incidents are ordered from the newest.
type saved struct {
	Version   version    `json:"version"`
	Tally     Tally      `json:"tally"`
	Incidents []Incident `json:"incidents"`
}

// version is that of the file. Decoding accepts ours alone.
type version int

const ours version = 1

// UnmarshalJSON implements [json.Unmarshaler].
func (v *version) UnmarshalJSON(b []byte) error {
	if *v = ours; string(b) != fmt.Sprint(int(ours)) {
		return fmt.Errorf("%w: version %.32q, this one reads %d", ErrNewerVersion, b, ours)
	}
	return nil
}

// read fills the book from its file.
func (b *Book) read(file statefile.File) error {
	s := saved{Version: ours}
	err := file.Read(&s)
	if errors.Is(err, statefile.ErrDamaged) && !errors.Is(err, ErrNewerVersion) {
		aside, moved := file.SetAside()
		b.log.Error("damaged file of incidents renamed; a new one is made", "renamed", aside, "error", errors.Join(err, moved))
		return moved
	}
	if err != nil {
		return err
	}
	for n := range s.Incidents[:min(len(s.Incidents), maxIncidents)] {
		b.ledger.add(&s.Incidents[n])
	}
	b.tally.restore(s.Tally)
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
	next := time.NewTimer(writeEvery)
	defer next.Stop()
	failing := false
	for open := true; open; {
		select {
		case <-next.C:
		case <-b.folded:
			open = false
		}
		began := time.Now()
		b.ended = b.writeChanged(!open)
		if failing != (b.ended != nil) {
			b.logFailure(b.ended)
			failing = b.ended != nil
		}
		next.Reset(max(writeEvery, 10*time.Since(began)))
	}
}

func (b *Book) logFailure(err error) {
	if err != nil {
		b.log.Error("could not write the incidents; they stay in memory and are written later", "error", err)
		return
	}
	b.log.Info("incidents are written to the disk again")
}

// marks are what the file holds: the changes and messages up to some count.
type marks struct {
	changes, messages uint64
	at                time.Time
}

// writeChanged writes everything if an incident changed since the last time. If
// only messages were counted, it does so once in a while, and the last time.
func (b *Book) writeChanged(last bool) error {
	tally, counted := b.tally.all()
	now := marks{messages: counted, at: time.Now()}
	b.mu.Lock()
	now.changes = b.ledger.changes
	b.mu.Unlock()
	due := counted != b.saved.messages && (last || now.at.Sub(b.saved.at) >= tallyEvery)
	if now.changes == b.saved.changes && !due {
		return nil
	}
	err := b.save(saved{ours, tally, b.All()})
	if err == nil {
		b.saved = now
	}
	return err
}
