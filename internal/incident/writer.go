package incident

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// writeEvery is how late incidents are written at most.
	writeEvery = time.Second
	// tallyEvery is in how many of these rounds the tally is written.
	tallyEvery = 60
)

// write is the goroutine that writes what changed. It is not the one of fold, so
// that a stuck disk delays nothing.
func (b *Book) write() {
	defer close(b.written)
	if b.disk == nil {
		<-b.folded
		return
	}
	every := time.NewTicker(writeEvery)
	defer every.Stop()
	failing := false
	for n, open := 1, true; open; n++ {
		select {
		case <-every.C:
		case <-b.folded:
			open = false
		}
		err := b.writeChanged(!open || n%tallyEvery == 0)
		if failing != (err != nil) {
			b.logFailure(err)
			failing = err != nil
		}
		b.ended = err
	}
	b.ended = errors.Join(b.ended, b.disk.close())
}

func (b *Book) logFailure(err error) {
	if err != nil {
		b.log.Error("could not write the incidents; they stay in memory and are written later", "error", err)
		return
	}
	b.log.Info("incidents are written to the disk again")
}

// writeChanged writes what changed since the last call. On an error all of it is
// tried again at the next.
func (b *Book) writeChanged(withTally bool) error {
	next, err := b.batch(withTally)
	if err != nil || len(next.incidents) == 0 && next.tally == nil {
		return err
	}
	if err = b.disk.write(next); err == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range next.incidents {
		b.ledger.dirty[id] = struct{}{}
	}
	b.tally.markChanged()
	return err
}

// batch collects what is to be written.
func (b *Book) batch(withTally bool) (batch, error) {
	next := batch{incidents: make(map[uint64][]byte)}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.ledger.dirty {
		i := b.ledger.all[id]
		if i == nil {
			next.incidents[id] = nil
			continue
		}
		value, err := json.Marshal(i)
		if err != nil {
			return next, fmt.Errorf("incident %d: %w", id, err)
		}
		next.incidents[id] = value
	}
	clear(b.ledger.dirty)
	if !withTally {
		return next, nil
	}
	if t, changed := b.tally.takeChanged(); changed {
		value, err := json.Marshal(t)
		if err != nil {
			return next, fmt.Errorf("the tally: %w", err)
		}
		next.tally = value
	}
	return next, nil
}
