package shared

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// When the loop has something to do.
func TestNext(t *testing.T) {
	id := tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.1"}
	tests := []struct {
		name string
		do   func(l *Store)
		want time.Duration
	}{
		{"nothing", func(l *Store) { l.beaten = time.Now() }, 10 * time.Second},
		{"nothing, for 3 s", func(l *Store) { l.beaten = time.Now().Add(-3 * time.Second) }, 7 * time.Second},
		{"the heartbeat is due", func(*Store) {}, grace},
		{"a change", func(l *Store) { l.changed.add(id) }, 100 * time.Millisecond},
		{"everything is to be sent", func(l *Store) { l.changed.all.Store(true) }, 256 * time.Millisecond},
		{"everything is being sent", func(l *Store) { l.sweeping.Store(true) }, 256 * time.Millisecond},
		{"the same, while it evicts", func(l *Store) {
			l.beaten, l.seen.evicting = time.Now(), true
			l.sweeping.Store(true)
			l.changed.all.Store(true)
		}, 10 * time.Second},
		{"back-off goes first", func(l *Store) { l.delay = time.Second; l.changed.add(id) }, time.Second},
	}
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range tests {
			l := looking()
			tt.do(l)
			if got := l.next(); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
		}
	})
}

// While there is no server, it is tried later and later, whatever changes
// meanwhile.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var tries []time.Duration
		s, err := New(store.NewMemory(10), Options{URL: "valkey://192.0.2.1", Password: func() (string, error) {
			tries = append(tries, time.Since(began))
			return "", errors.New("no password")
		}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 120 {
			time.Sleep(100 * time.Millisecond)
			s.note(tlsstate.Identity{Kind: tlsstate.Domain, Name: string(rune('a' + i))})
			s.changed.take(1) // so that the next is the first again
			s.doubt(errLate)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, 250, 750, 1750, 3750, 7750}
		for i := range want {
			if want[i] *= time.Millisecond; i >= len(tries) || tries[i] != want[i] {
				t.Fatalf("tries after %v, want %v", tries, want)
			}
		}
		if len(tries) != len(want) {
			t.Errorf("tries after %v, want %v", tries, want)
		}
	})
}

// Once a server answers, the back-off is over.
func TestBackOffEnds(t *testing.T) {
	client, end := impostorClient(t, "$1\r\ng\r\n")
	defer end()
	l := looking()
	l.ctx, l.opts.Timeout = t.Context(), time.Minute
	l.server.Store(&server{client, &l.commands})
	l.delay = maxBackoff
	if err := l.round(t.Context()); err != nil || l.delay != 0 || !l.answers.well.Load() {
		t.Errorf("%v: the next try is in %s", err, l.delay)
	}
}

func TestDefaults(t *testing.T) {
	o := Options{Pace: -1}.withDefaults()
	if o.Timeout != 50*time.Millisecond || o.Gather != 100*time.Millisecond || o.MaxChanged != 100_000 || o.Pace != 1000 ||
		o.Heartbeat != 10*time.Second || o.Prefix != "tlsratchet:" || o.Policy(tlsstate.Address).PinMaxAgeDays != tlsstate.DefaultPolicy().PinMaxAgeDays || time.Since(o.Now()) > time.Hour || o.Logger == nil {
		t.Errorf("%+v", o)
	}
	set := Options{Timeout: 1, Gather: 2, MaxChanged: 3, Pace: 4, Heartbeat: 5}
	if o := set.withDefaults(); o.Timeout != 1 || o.Gather != 2 || o.MaxChanged != 3 || o.Pace != 4 || o.Heartbeat != 5 {
		t.Errorf("what is set is not left: %+v", o)
	}
}
