package incident

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// faulty is a disk that fails to order, and keeps what it was given.
type faulty struct {
	mu   sync.Mutex
	err  error
	all  []saved
	held chan struct{}
}

func (f *faulty) save(s saved) error {
	if f.held != nil {
		<-f.held
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.all = append(f.all, s)
	}
	return f.err
}

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

// TestChangesInOrder: an end that an operator brings about is not reported before what it
// ends, though that report takes long: whoever gets it would see the incident as open.
func TestChangesInOrder(t *testing.T) {
	reports, free := make(chan What, 2), make(chan struct{})
	b := newBook(Options{Log: slog.New(slog.DiscardHandler), Changed: func(c Change) {
		if c.What == Opened {
			<-free
		}
		reports <- c.What
	}})
	go b.Handle(downgrade("192.0.2.1", noon))
	for b.Count() == 0 {
		time.Sleep(time.Millisecond)
	}
	go b.Unpinned(1, noon)
	time.Sleep(50 * time.Millisecond)
	close(free)
	if first, second := <-reports, <-reports; first != Opened || second != Closed {
		t.Errorf("%s, then %s", first, second)
	}
}

// on runs a book on a disk, in a bubble of time.
func on(t *testing.T, f *faulty, fn func(*Book, *bytes.Buffer)) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := newBook(Options{Changed: ignored, Log: slog.New(slog.NewTextHandler(&log, nil))})
		b.save = f.save
		b.start()
		fn(b, &log)
	})
}

// TestFailingDisk: what can't be written is kept, logged once, and written when
// it can be.
func TestFailingDisk(t *testing.T) {
	f := &faulty{err: errors.New("no space left")}
	on(t, f, func(b *Book, log *bytes.Buffer) {
		b.OnEvent(downgrade("192.0.2.1", time.Now()))
		time.Sleep(5500 * time.Millisecond)
		synctest.Wait()
		if n := strings.Count(log.String(), "could not write"); n != 1 || !strings.Contains(log.String(), "no space left") {
			t.Errorf("logged %d times:\n%s", n, log)
		}
		f.fail(nil)
		time.Sleep(5 * time.Second)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "disk again"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, log)
		}
	})
	if len(f.all) != 2 || len(f.all[0].Incidents) != 1 || len(f.all[0].Tally) != 1 || f.all[1].Numbers != 1 {
		t.Errorf("%+v: want the incident and the tally, and at the end the number", f.all)
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
		synctest.Wait()
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
		if n := len(f.all); n != 3 {
			t.Errorf("%d writes in 130 seconds, want the numbers, and the tally twice", n)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestTallyAtTheEnd: what was counted since the last writing is written by Close.
func TestTallyAtTheEnd(t *testing.T) {
	f := &faulty{}
	on(t, f, func(b *Book, _ *bytes.Buffer) {
		steady := downgrade("192.0.2.1", time.Now())
		steady.Decision.Outcome, steady.Decision.Kind = tlsstate.Steady, tlsstate.NoDowngrade
		b.OnEvent(steady)
		time.Sleep(5 * time.Second)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if len(f.all) != 2 || len(f.all[1].Tally) != 1 || f.all[1].Incidents != nil {
		t.Errorf("written: %+v", f.all)
	}
}

// TestSlowDisk: a file that takes long to write is written less often.
func TestSlowDisk(t *testing.T) {
	writes := 0
	synctest.Test(t, func(t *testing.T) {
		b := newBook(Options{Changed: ignored})
		b.save = func(saved) error {
			writes++
			time.Sleep(2 * time.Second)
			return nil
		}
		b.start()
		for n := range 100 {
			b.OnEvent(downgrade(fmt.Sprintf("192.0.2.%d", n), time.Now()))
			time.Sleep(time.Second)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if writes < 4 || writes > 6 {
		t.Errorf("%d writes of 2 s in 100 s, want one every 22 s", writes)
	}
}

func ignored(Change) {}
