package replay

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"tlsratchet/internal/maillog"
	"tlsratchet/internal/ratchet"
	"tlsratchet/test/loggen"
	"tlsratchet/tlsstate"
)

// What is remembered is of peers: five times the lines of the same peers add
// nothing.
func TestMemoryIsNotOfLines(t *testing.T) {
	run := func(lines int) *Result {
		var text bytes.Buffer
		if err := loggen.Write(&text, loggen.Options{Lines: lines, Peers: 20, Days: 2}); err != nil {
			t.Fatal(err)
		}
		rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(t.Context(), []maillog.Source{{Name: "-", Stream: &text}},
			maillog.Options{Now: time.Date(2026, time.September, 3, 0, 0, 0, 0, time.UTC)},
			Options{Rules: rules, Breaker: ratchet.BreakerOptions{Domains: 10, Window: 10 * time.Minute, PinDays: 7}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	few, many := run(60_000), run(300_000)
	if many.Report.Lines < 5*60_000 || len(many.Histories) != len(few.Histories) || many.Report.Peers.Addresses != 20 {
		t.Errorf("%d histories of %d addresses after %d lines, %d after %d", len(many.Histories), many.Report.Peers.Addresses, many.Report.Lines, len(few.Histories), few.Report.Lines)
	}
}

// The memory of a replay forgets nothing, has no clock, and keeps apart what an
// outage taught.
func TestMemory(t *testing.T) {
	m := newMemory()
	grow := func(h tlsstate.History) tlsstate.History { h.Epoch++; return h }
	learn := func(name string) {
		t.Helper()
		id := tlsstate.Identity{Kind: tlsstate.Address, Name: name}
		before, _ := m.Load(id)
		h, err := m.Update(id, netip.Addr{}, 1, grow)
		if after, _ := m.Load(id); err != nil || h.Epoch != before.Epoch+1 || after != h {
			t.Errorf("%+v, %+v, %v", h, after, err)
		}
	}
	for _, name := range []string{"a", "a", "b", "late"} {
		learn(name)
	}
	m.inClear = true
	learn("late")
	learn("late")
	m.fault = true
	learn("b")
	learn("stranger")
	m.fault = false
	learn("b")
	m.undo()
	if _, err := m.Update(tlsstate.Identity{Kind: tlsstate.Listener, Name: "log"}, netip.Addr{}, 1, grow); err != nil || m.Newest() != 0 {
		t.Error(err)
	}
	want := map[string]uint16{"a": 2, "b": 1, "late": 1}
	all := m.learned()
	for name, epoch := range want {
		if h := all[tlsstate.Identity{Kind: tlsstate.Address, Name: name}]; h.Epoch != epoch {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if len(all) != len(want) {
		t.Errorf("%+v", all)
	}
}
