package incident_test

import (
	"encoding/json"
	"testing"

	"tlsratchet/internal/incident"
	"tlsratchet/tlsstate"
)

func TestTally(t *testing.T) {
	w := newWorld(t, tlsstate.Header, "")
	w.pin(bank)
	for n := range 70 {
		w.deliver(bank, at(n, 0), tls)
	}
	w.deliver(bank, at(69, 1), clear)
	today := tlsstate.DayOf(at(69, 0))
	got := w.book.Tally(today)
	if len(got) != 64 || got[0].Day != today-63 || got[63].Day != today {
		t.Fatalf("%d days, %s to %s", len(got), got[0].Day, got[len(got)-1].Day)
	}
	b, err := json.Marshal(got[63])
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"day":"2026-11-09","messages":{"TLSv1.3":{"steady":1},"none":{"downgrade":1}}}`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	if got[63].Levels()[tlsstate.Plaintext] != 1 || got[63].Levels()[tlsstate.TLS12] != 0 {
		t.Errorf("by level: %v", got[63].Counts)
	}
	if later := w.book.Tally(today + 64); len(later) != 0 {
		t.Errorf("%d days, 64 days later", len(later))
	}
	if early := w.book.Tally(3); len(early) != 0 {
		t.Errorf("%d days at the beginning of time", len(early))
	}
}

// TestLevels: our own mail, which is exempt, states nothing of peers.
func TestLevels(t *testing.T) {
	var d incident.DayCounts
	d.Counts[tlsstate.TLS13] = incident.ByOutcome{tlsstate.Exempt: 5, tlsstate.New: 1, tlsstate.Steady: 2}
	d.Counts[tlsstate.Plaintext] = incident.ByOutcome{tlsstate.Exempt: 7, tlsstate.Downgraded: 4}
	if got := d.Levels(); got != [...]uint64{4, 0, 0, 3} {
		t.Errorf("by level %v", got)
	}
	if judged, exempt := d.Judged(); judged != 7 || exempt != 12 {
		t.Errorf("%d judged, %d exempt", judged, exempt)
	}
}

// FuzzTally: what decodes is written back as something that decodes to the
// same.
func FuzzTally(f *testing.F) {
	f.Add([]byte(`[{"day":"2026-11-09","messages":{"TLSv1.3":{"steady":1},"none":{"downgrade":1}}}]`))
	f.Add([]byte(`[{"day":"never"},{"day":"2026-11-09","messages":{"x":{}}}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var once, twice incident.Tally
		if json.Unmarshal(b, &once) != nil {
			return
		}
		again(t, once, &twice)
	})
}

// again encodes, decodes and encodes: both encodings must be the same.
func again[T any](t *testing.T, once T, twice *T) {
	t.Helper()
	first, err := json.Marshal(once)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(first, twice); err != nil {
		t.Fatalf("%v: %s", err, first)
	}
	second, err := json.Marshal(*twice)
	if err != nil || string(first) != string(second) {
		t.Fatalf("%v\n%s\n%s", err, first, second)
	}
}
