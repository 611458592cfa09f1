package shared

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/tlsstate/store"
)

func looking() *Store {
	o := Options{}.withDefaults()
	return &Store{local: store.NewMemory(10), opts: o, changed: newChanged(o.MaxChanged)}
}

// What a heartbeat finds, and whether everything is sent again.
func TestLossIsNoticed(t *testing.T) {
	one, two := node{run: "one"}, node{run: "two"}
	steps := []struct {
		name       string
		generation string
		masters    []node
		complete   bool
		lost       bool
	}{
		{"the first time", "g", []node{one}, true, true},
		{"nothing new", "g", []node{one}, true, false},
		{"another generation", "h", []node{one}, true, true},
		{"none can be read: a replica", "", nil, true, false},
		{"the same one is master again: it was behind", "h", []node{one}, true, true},
		{"another process", "h", []node{two}, true, true},
		{"nobody answers", "h", nil, false, false},
		{"it was only silent", "h", []node{two}, true, false},
		{"one more", "h", []node{one, two}, true, true},
		{"one of two silent", "h", []node{two}, false, false},
		{"both", "h", []node{one, two}, true, false},
	}
	l := looking()
	for _, s := range steps {
		l.compare(s.generation, s.masters, s.complete)
		if got := l.changed.all.Swap(false); got != s.lost {
			t.Errorf("%s: sent again: %v, want %v", s.name, got, s.lost)
		}
	}
}

// A server that is too small for what it is sent evicts again by that: it is
// sent everything later and later.
func TestEvictionsAreAnsweredLaterAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := looking()
		var waits []time.Duration
		for range 9 {
			if l.evictions(5) {
				t.Fatal("sent again while it evicts")
			}
			began := time.Now()
			for !l.evictions(0) {
				time.Sleep(l.opts.Heartbeat)
			}
			waits = append(waits, time.Since(began))
		}
		for i, want := range []time.Duration{10, 20, 40, 80, 160, 320, 600, 600, 600} {
			if waits[i] != want*time.Second {
				t.Errorf("wait %d: %s, want %d s", i, waits[i], want)
			}
		}
		time.Sleep(2 * time.Hour)
		l.evictions(1)
		time.Sleep(l.opts.Heartbeat)
		if !l.evictions(0) || l.evictions(0) || l.evicted.Load() != 46 {
			t.Errorf("after a long time in quiet: %d evicted", l.evicted.Load())
		}
	})
}

// Keys that a node evicted since it was last asked are counted, and it is logged
// once when that begins and once when it ends.
func TestEvictionsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := looking()
		var log bytes.Buffer
		l.opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
		one := func(evicted uint64) []node { return []node{{run: "one", evicted: evicted}} }
		for _, step := range []struct{ evicted, want uint64 }{{7, 0}, {7, 0}, {10, 3}, {12, 5}, {12, 5}, {14, 7}} {
			if l.compare("g", one(step.evicted), true); l.evicted.Load() != step.want {
				t.Errorf("at %d: %d evicted, want %d", step.evicted, l.evicted.Load(), step.want)
			}
		}
		time.Sleep(maxPause)
		l.compare("g", one(14), true)
		if text := log.String(); strings.Count(text, "evicts records because") != 1 || strings.Count(text, "no longer evicts records\" evicted=7") != 1 {
			t.Errorf("logged: %s", text)
		}
	})
}

func TestInfo(t *testing.T) {
	info := parseInfo("# Server\r\nrun_id:abc\r\nrole:master\r\n\r\nevicted_keys:7\r\nodd line\r\nio:a:b\r\n")
	if info["run_id"] != "abc" || info["role"] != "master" || info["evicted_keys"] != "7" || info["io"] != "a:b" || len(info) != 4 {
		t.Errorf("%v", info)
	}
}

func TestPatternsMeanTheText(t *testing.T) {
	if got := escape(`a*b?[c]\`); got != `a\*b\?\[c\]\\` {
		t.Error(got)
	}
}
