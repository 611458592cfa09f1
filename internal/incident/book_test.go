package incident_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/statefile"
	"tlsratchet/tlsstate"
)

// TestRestart: what was reported is not reported again, and what was open closes.
func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incidents.json")
	w := newWorld(t, tlsstate.Quarantine, path)
	w.pin(bank)
	w.deliver(bank, at(0, 0), clear)
	before := w.book.All()
	tally := w.book.Tally(tlsstate.DayOf(start))
	w.close()
	w.changes = nil

	w.open(path)
	if diff := cmp.Diff(asJSON(t, before), asJSON(t, w.book.All())); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
	if diff := cmp.Diff(asJSON(t, tally), asJSON(t, w.book.Tally(tlsstate.DayOf(start)))); diff != "" {
		t.Errorf("the tally, -before +after:\n%s", diff)
	}
	for _, s := range []step{
		mail(at(0, 1), bank, clear, ""),
		look(at(0, 2), ""),
		mail(at(0, 3), bank, tls, "closed address:192.0.2.10"),
		look(at(1, 0), "holding address:192.0.2.10"),
	} {
		if got := w.step(s); got != s.want {
			t.Errorf("%s: got %q, want %q", s.at, got, s.want)
		}
	}
	w.close()
	w.open(path)
	if got := w.step(mail(at(3, 0), bank, clear, "")); got != "opened address:192.0.2.10" {
		t.Errorf("the next one: %q", got)
	}
	if all := w.book.All(); len(all) != 2 || all[0].ID != 2 {
		t.Errorf("%d incidents, the newest %d", len(all), all[0].ID)
	}
}

// TestNumbers: a number never names another incident, though the first one is
// forgotten, the process is killed, or the file is damaged or none.
func TestNumbers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incidents.json")
	w := newWorld(t, tlsstate.Header, path)
	w.pin(bank)
	next := func() uint64 {
		w.deliver(bank, at(0, 0), clear)
		id := w.one().ID
		w.tick(at(1, 0))
		w.tick(at(182, 0))
		w.close()
		w.open(path)
		return id
	}
	if first, second := next(), next(); first != 1 || second != 2 {
		t.Errorf("forgotten: %d, then %d", first, second)
	}
	killed, err := os.ReadFile(path) // as it is before a number is given
	if err != nil {
		t.Fatal(err)
	}
	last := next()
	w.close()
	for name, b := range map[string][]byte{"killed": killed, "damaged": killed[:len(killed)/2], "empty": nil} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		w.open(path)
		if id := next(); id <= last || name == "killed" && id != last+10_000 { // as docs/alerts.md states
			t.Errorf("%s: number %d, after %d", name, id, last)
		}
		w.close()
	}
	path = ""
	w.open(path)
	if id := next(); id < uint64(start.Unix()) {
		t.Errorf("in memory: number %d", id)
	}
}

// fileOfOne returns a closed book's file with one open incident, and its content.
func fileOfOne(t *testing.T) (w *world, path string, content []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "incidents.json")
	w = newWorld(t, tlsstate.Header, path)
	w.pin(bank)
	w.deliver(bank, at(0, 0), clear)
	w.close()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return w, path, content
}

// TestReadOnly: whoever only looks at the file closes nothing and writes nothing.
func TestReadOnly(t *testing.T) {
	w, path, before := fileOfOne(t)
	var log bytes.Buffer
	read := incident.Options{File: statefile.At(path), Log: slog.New(slog.NewTextHandler(&log, nil))}
	synctest.Test(t, func(t *testing.T) {
		book, err := incident.Read(read)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * 365 * 24 * time.Hour)
		if n := len(book.OpenIncidents()); n != 1 || len(book.Tally(tlsstate.DayOf(start))) == 0 {
			t.Errorf("%d open", n)
		}
	})
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("%v; it was changed:\n%s", err, after)
	}
	damaged := string(before) + "{\n"
	if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	if book, err := incident.Read(read); err != nil || len(book.All()) != 1 || !strings.Contains(log.String(), "are left out\" damaged=1 ") {
		t.Errorf("damaged: %v\n%s", err, &log)
	} else if id := book.All()[0].Identity; len(book.Of(id)) != 1 || len(book.Of(tlsstate.Identity{Kind: id.Kind, Name: "192.0.2.99"})) != 0 {
		t.Errorf("%d of %s", len(book.Of(id)), id)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != damaged {
		t.Errorf("%v; the damaged file is now\n%s", err, after)
	}
	w.open(path) // the end is reported by the next daemon
	if got := w.tick(at(1, 0)); got != "closed address:192.0.2.10" {
		t.Errorf("got %q", got)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestForgotten after 180 days, in the file too.
func TestForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incidents.json")
	w := newWorld(t, tlsstate.Header, path)
	w.pin(bank)
	w.deliver(bank, at(0, 0), clear)
	w.tick(at(1, 0))
	w.tick(at(181, 0))
	if n := len(w.book.All()); n != 1 {
		t.Fatalf("%d incidents after 180 days, want 1", n)
	}
	w.tick(at(181, 1))
	w.close()
	w.open(path)
	if n := len(w.book.All()); n != 0 {
		t.Errorf("%d incidents, want none", n)
	}
}

// TestBadFiles: a file of a newer version, or one that can't be read, is an error
// and left alone; a damaged one is set aside, and costs what the damaged lines hold.
func TestBadFiles(t *testing.T) {
	w, path, whole := fileOfOne(t)
	write := func(b string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	newer := strings.Replace(string(whole), `"version":1`, `"version":2`, 1)
	newer = strings.Replace(newer, `"kind":"stripped"`, `"kind":"diverted"`, 1)
	write(newer)
	if _, err := incident.Open(incident.Options{File: statefile.At(path)}); !errors.Is(err, incident.ErrNewerVersion) {
		t.Errorf("newer: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != newer {
		t.Error("a newer file was changed")
	}
	if _, err := incident.Open(incident.Options{File: statefile.At(filepath.Dir(path))}); err == nil {
		t.Error("a folder is no file")
	}
	_, record, _ := strings.Cut(string(whole), "\n")
	number := 0
	for name, tt := range map[string]struct {
		damaged string
		left    int
	}{
		"cut short":       {string(whole[:len(whole)/2]), 0},
		"no file of it":   {strings.Repeat("not a file of incidents ", 1000), 0},
		"empty":           {"", 0},
		"a hole":          {string(whole[:40]) + strings.Repeat("\x00", 20) + string(whole[60:]), 1},
		"a bad record":    {strings.Replace(string(whole), `"cap":"reject"`, `"cap":"rejekt"`, 1), 0},
		"no incident":     {`{"version":1}` + "\nnull\n", 0},
		"one of two":      {`{"version":1}` + "\n" + strings.Repeat("\x00", 20) + "\n" + record, 1},
		"no end of line":  {`{"version":1}` + "\n" + record[:len(record)/2] + record, 0},
		"two ends of one": {`{"version":1}` + "\n" + record + "\n", 1},
		"a high number":   {`{"version":1,"numbers":9007199254740993}` + "\n" + record, 1},
	} {
		damaged := tt.damaged
		write(damaged)
		w.open(path)
		if n := len(w.book.All()); n != tt.left {
			t.Errorf("%s: %d incidents, want %d", name, n, tt.left)
		}
		w.deliver(bank, at(0, 0), clear)
		w.close()
		asides := statefile.At(path).Asides() // the newest is the last
		if b, err := os.ReadFile(asides[len(asides)-1]); err != nil || string(b) != damaged {
			t.Errorf("%s: %v", name, err)
		}
		if number++; len(asides) != min(number, 3) {
			t.Errorf("%s: beside it %q", name, asides)
		}
		w.open(path)
		if n := len(w.book.All()); n != 1 {
			t.Errorf("%s: then %d incidents", name, n)
		}
		w.close()
	}
}

// TestTooManyLines: no more incidents are read than are stored.
func TestTooManyLines(t *testing.T) {
	w, path, whole := fileOfOne(t)
	head, record, _ := strings.Cut(string(whole), "\n")
	var b strings.Builder
	b.WriteString(head + "\n")
	for n := range 10_001 {
		b.WriteString(strings.Replace(record, `"id":1,`, fmt.Sprintf(`"id":%d,`, n+1), 1))
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	w.open(path)
	if n := len(w.book.All()); n != 10_000 {
		t.Errorf("%d incidents", n)
	}
}

// TestOnEventCostsNothing where no incident is about the message, be others open
// or not.
func TestOnEventCostsNothing(t *testing.T) {
	w := newWorld(t, tlsstate.Header, "")
	w.pin(bank)
	steady := w.decide(bank, at(0, 0), tls)
	other := w.decide(client("192.0.2.99"), at(0, 0), tls)
	if n := testing.AllocsPerRun(1000, func() { w.book.OnEvent(steady) }); n != 0 {
		t.Errorf("%.0f allocations with nothing open", n)
	}
	w.deliver(bank, at(0, 1), clear)
	if n := testing.AllocsPerRun(1000, func() { w.book.OnEvent(other) }); n != 0 {
		t.Errorf("%.0f allocations with something open", n)
	}
	if w.book.Dropped() != 0 {
		t.Errorf("%d dropped", w.book.Dropped())
	}
}

// TestStuckConsumer: mail never waits for whoever is notified, and what finds no
// room is counted.
func TestStuckConsumer(t *testing.T) {
	w := newWorld(t, tlsstate.Header, "")
	w.pin(bank)
	stuck, entered := make(chan struct{}), make(chan struct{})
	var once sync.Once
	book, err := incident.Open(incident.Options{Changed: func(incident.Change) {
		once.Do(func() { close(entered) })
		<-stuck
	}})
	if err != nil {
		t.Fatal(err)
	}
	e := w.decide(bank, at(0, 0), clear)
	book.OnEvent(e)
	<-entered
	for range 5000 {
		book.OnEvent(e)
	}
	if got := book.Dropped(); got != 5000-4096 {
		t.Errorf("%d dropped, want %d", got, 5000-4096)
	}
	close(stuck)
	if err := book.Close(); err != nil {
		t.Fatal(err)
	}
	if all := book.All(); len(all) != 1 || all[0].Messages != 4097 {
		t.Errorf("%d incidents", len(all))
	}
}

// TestEventIsOnlyLent: what the event points to may change after OnEvent.
func TestEventIsOnlyLent(t *testing.T) {
	w := newWorld(t, tlsstate.Header, "")
	w.pin(bank)
	e := w.decide(bank, at(0, 0), clear)
	w.book.OnEvent(e)
	*e.Session, *e.Decision = ratchet.Session{}, ratchet.Decision{}
	w.close()
	if i := w.one(); i.Identity.Name != "192.0.2.10" || !i.Opened.Equal(at(0, 0)) {
		t.Errorf("got %+v", i)
	}
}

// TestFlood: 10,300 peers at once leave 10,000 incidents: closed ones go
// first.
func TestFlood(t *testing.T) { synctest.Test(t, flood) } // the clock stands still: no tick of the book's own

func flood(t *testing.T) {
	w := newWorld(t, tlsstate.Header, "")
	w.pin(bank)
	e := w.decide(bank, at(0, 0), clear)
	one := func(n int, when time.Time) {
		s, d := *e.Session, *e.Decision
		d.Identity.Name = fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255)
		s.At, s.Peer.Address = when, d.Identity
		w.book.Handle(ratchet.Event{Session: &s, Decision: &d, Done: true})
	}
	for n := range 200 {
		one(n, at(0, 0))
	}
	w.book.Tick(at(1, 0)) // the first of them are over
	for n := 200; n < 10300; n++ {
		one(n, at(1, 0).Add(time.Duration(n)*time.Millisecond))
	}
	if open, all := w.book.Count(), len(w.book.All()); open != 10000 || all != 10000 || w.book.Dropped() != 0 {
		t.Errorf("%d open of %d, %d dropped", open, all, w.book.Dropped())
	}
	all := w.book.OpenIncidents()
	if first, last := all[len(all)-1].Identity.Name, all[0].Identity.Name; first != "10.0.1.44" || last != "10.0.40.59" {
		t.Errorf("from %s to %s, want those from 300 on", first, last)
	}
}

// TestByItself: the book looks at the clock every minute.
func TestByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var changes []string
		book, err := incident.Open(incident.Options{Changed: func(c incident.Change) {
			mu.Lock()
			defer mu.Unlock()
			changes = append(changes, string(c.What))
		}})
		if err != nil {
			t.Fatal(err)
		}
		s, d := &ratchet.Session{At: time.Now()}, &ratchet.Decision{}
		d.Outcome, d.Kind = tlsstate.Downgraded, tlsstate.Stripped
		d.Identity = tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.1"}
		book.OnEvent(ratchet.Event{Session: s, Decision: d, Done: true})
		time.Sleep(24*time.Hour + time.Minute)
		synctest.Wait()
		if err := book.Close(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(changes, " "); got != "opened closed" {
			t.Errorf("got %q", got)
		}
	})
}

func TestClosedTwice(t *testing.T) {
	w := newWorld(t, tlsstate.Header, filepath.Join(t.TempDir(), "i.json"))
	w.pin(bank)
	e := w.decide(bank, at(0, 0), clear)
	w.close()
	w.book.OnEvent(e)
	w.close()
}
