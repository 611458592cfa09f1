package incident

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// faulty is a disk that fails to order, and remembers what it was given.
type faulty struct {
	mu      sync.Mutex
	err     error
	batches []batch
	held    chan struct{}
}

func (f *faulty) write(b batch) error {
	if f.held != nil {
		<-f.held
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.batches = append(f.batches, b)
	}
	return f.err
}

func (f *faulty) close() error { return nil }

func (f *faulty) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// downgrade is the event of a peer's downgrade.
func downgrade(name string, at time.Time) ratchet.Event {
	s, d := &ratchet.Session{At: at}, &ratchet.Decision{}
	d.Outcome, d.Kind, d.Cap, d.Pin = tlsstate.Downgraded, tlsstate.Stripped, tlsstate.Reject, tlsstate.TLS12
	d.Identity = tlsstate.Identity{Kind: tlsstate.Address, Name: name}
	s.Peer.Address = d.Identity
	return ratchet.Event{Session: s, Decision: d, Done: true}
}

// on runs a book on a disk, in a bubble of time.
func on(t *testing.T, f *faulty, fn func(*Book, *bytes.Buffer)) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := newBook(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		b.disk = f
		b.start()
		fn(b, &log)
	})
}

// TestFailingDisk: what can't be written is kept, told once, and written when
// it can be.
func TestFailingDisk(t *testing.T) {
	f := &faulty{err: errors.New("no space left")}
	on(t, f, func(b *Book, log *bytes.Buffer) {
		b.OnEvent(downgrade("192.0.2.1", time.Now()))
		time.Sleep(5500 * time.Millisecond)
		synctest.Wait()
		if n := strings.Count(log.String(), "could not write"); n != 1 || !strings.Contains(log.String(), "no space left") {
			t.Errorf("told %d times:\n%s", n, log)
		}
		f.fail(nil)
		time.Sleep(5 * time.Second)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "disk again"); n != 1 {
			t.Errorf("told %d times:\n%s", n, log)
		}
	})
	if len(f.batches) != 2 || len(f.batches[0].incidents) != 1 || f.batches[0].tally != nil || f.batches[1].tally == nil {
		t.Errorf("%d batches: want the incident, then at the end the tally", len(f.batches))
	}
}

// TestStuckDisk holds up neither the fold nor a stop.
func TestStuckDisk(t *testing.T) {
	f := &faulty{}
	on(t, f, func(b *Book, _ *bytes.Buffer) {
		f.held = make(chan struct{})
		b.OnEvent(downgrade("192.0.2.1", time.Now()))
		time.Sleep(5 * time.Second)
		b.OnEvent(downgrade("192.0.2.2", time.Now()))
		b.Sync()
		if n := len(b.OpenIncidents()); n != 2 {
			t.Errorf("%d open", n)
		}
		begun := time.Now()
		if err := b.Close(); err == nil || time.Since(begun) != closeTimeout {
			t.Errorf("closed after %s: %v", time.Since(begun), err)
		}
		close(f.held)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestSteadyWritesNothing but the tally, once a minute.
func TestSteadyWritesNothing(t *testing.T) {
	f := &faulty{}
	on(t, f, func(b *Book, _ *bytes.Buffer) {
		steady := downgrade("192.0.2.1", time.Now())
		steady.Decision.Outcome, steady.Decision.Kind = tlsstate.Steady, tlsstate.NoDowngrade
		for range 130 {
			b.OnEvent(steady)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := len(f.batches); n != 2 {
			t.Errorf("%d writes in 130 seconds, want 2", n)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestGuarded: what bbolt does at a fault in its file is an error, and no
// write follows.
func TestGuarded(t *testing.T) {
	if err := guarded(func() error { panic("page 7") }); err == nil || !strings.Contains(err.Error(), "page 7") {
		t.Errorf("got %v", err)
	}
	f := &file{}
	if err := f.write(batch{}); err == nil || !f.broken {
		t.Errorf("a write without a database: %v", err)
	}
	if err := f.write(batch{}); err == nil {
		t.Error("a write after that")
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
}
