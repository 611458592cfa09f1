package store

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/internal/trouble"
	"tlsratchet/tlsstate"
)

// Once an hour, more often where snapshots are to be, and six times as often
// while they fail, the file is not in its place, or a copy waits to be joined.
func TestHowOftenTheFileIsLookedAfter(t *testing.T) {
	for _, tt := range []struct {
		every  time.Duration
		failed bool
		want   time.Duration
	}{
		{24 * time.Hour, false, time.Hour},
		{24 * time.Hour, true, 10 * time.Minute},
		{time.Minute, false, time.Minute},
		{time.Minute, true, time.Minute},
		{-1, false, time.Hour},
		{-1, true, 10 * time.Minute},
	} {
		fail := func(s *trouble.State) { s.Note(slog.New(slog.DiscardHandler), ErrTimeout) }
		fails := []func(*File){func(f *File) { fail(&f.snapshots) }, func(f *File) { fail(&f.place) }, func(f *File) { f.salvage = []string{"aside"} }}
		if !tt.failed {
			fails = []func(*File){func(*File) {}}
		}
		for i, fail := range fails {
			f := &File{opts: Options{SnapshotEvery: tt.every}}
			fail(f)
			if got := f.choresEvery(); got != tt.want {
				t.Errorf("snapshots every %s, failed %v, %d: %s, want %s", tt.every, tt.failed, i, got, tt.want)
			}
		}
	}
}

// slowScan is a disk of which a batch takes a second.
type slowScan struct{ disk }

func (d slowScan) scan(key []byte, n int) (batch, error) {
	time.Sleep(time.Second)
	return d.disk.scan(key, n)
}

// Going through the file leaves half of the time to others, unless newcomers are
// turned away meanwhile.
func TestGoingThroughTheFileIsUnhurried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk()
		const batches = 4
		for i := range batches * scanBatch {
			d.kept[tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprint("d", i)}] = seen(1)
		}
		f := startFake(t, slowScan{d}, Options{MaxIdentities: 100})
		for known, want := range map[int]time.Duration{109: 2 * batches * time.Second, 110: batches * time.Second} {
			f.table.mu.Lock()
			f.table.known = known
			f.table.mu.Unlock()
			began := time.Now()
			for _, err := range f.paced() {
				if err != nil {
					t.Error(err)
				}
			}
			if took := time.Since(began); took != want {
				t.Errorf("%d known: %s; want %s", known, took, want)
			}
		}
		f.table.mu.Lock()
		f.table.known = 0
		f.table.mu.Unlock()
		mustClose(t, f)
	})
}
