package admin_test

import (
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"tlsratchet/internal/admin"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// slowDisk does not answer in time now and then.
type slowDisk struct {
	*store.Memory
	loads, merges int
}

func (s *slowDisk) Load(id tlsstate.Identity) (tlsstate.History, error) {
	if s.loads++; s.loads%5 == 1 {
		return tlsstate.History{}, fmt.Errorf("read: %w", store.ErrTimeout)
	}
	return s.Memory.Load(id)
}

func (s *slowDisk) Update(id tlsstate.Identity, client netip.Addr, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	if s.merges++; s.merges%7 == 1 {
		return tlsstate.History{}, store.ErrTimeout
	}
	return s.Memory.Update(id, client, today, grow)
}

// A batch waits for the disk; a message does not.
func TestImportWaits(t *testing.T) {
	w := newWorld(t)
	disk := &slowDisk{Memory: w.memory}
	a := (&admin.Local{Memory: disk, Rules: func(tlsstate.Kind) *tlsstate.Rules { return nil }, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}).Admin()
	const n = 40
	lines := iter.Seq2[admin.Line, error](func(yield func(admin.Line, error) bool) {
		for i := range n {
			p := tlsstate.DefaultPolicy()
			_, h := tlsstate.Judge(tlsstate.History{}, tlsstate.Observation{Day: tlsstate.DayOf(now)}, &p)
			if !yield(admin.Line{Identity: identity(fmt.Sprintf("address:198.51.100.%d", i)), History: h}, nil) {
				return
			}
		}
	})
	done, err := a.Import(t.Context(), "import", "alice", lines)
	if err != nil || done.Lines != n || done.Changed != n {
		t.Errorf("%+v, %v", done, err)
	}
}
