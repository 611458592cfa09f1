package incident_test

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/statefile"
	"tlsratchet/tlsstate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a real ratchet, whose events go to a book.
type world struct {
	t       testing.TB
	ratchet *ratchet.Ratchet
	book    *incident.Book
	changes []incident.Change
}

// memory is the smallest memory of histories.
type memory map[tlsstate.Identity]tlsstate.History

func (m memory) Load(id tlsstate.Identity) (tlsstate.History, error) { return m[id], nil }

func (m memory) Update(id tlsstate.Identity, _ netip.Addr, _ tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	m[id] = grow(m[id])
	return m[id], nil
}

func (m memory) Newest() (newest tlsstate.Day) {
	for _, h := range m {
		newest = max(newest, h.Newest())
	}
	return newest
}

// start is noon of the day that peers are pinned on.
var start = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

// at is so many days and hours after that.
func at(days, hours int) time.Time {
	return start.AddDate(0, 0, days).Add(time.Duration(hours) * time.Hour)
}

var bank = peer.Client{
	Addr: "192.0.2.10", Name: "mx1.bank.example", Resolve: "OK",
	DaemonAddr: "198.51.100.1", DaemonPort: "25",
}

// stranger is a host of the bank's never seen with TLS.
var stranger = peer.Client{
	Addr: "198.18.7.7", Name: "news.bank.example", Resolve: "OK",
	DaemonAddr: "198.51.100.1", DaemonPort: "25",
}

func newWorld(t testing.TB, action tlsstate.Action, path string) *world {
	t.Helper()
	policy := tlsstate.DefaultPolicy()
	policy.Stripped, policy.Weakened = action, action
	rules, err := tlsstate.NewRules(policy, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ratchet: ratchet.New(ratchet.Options{Histories: memory{}, Rules: rules, Log: slog.New(slog.DiscardHandler)})}
	w.open(path)
	t.Cleanup(w.close)
	return w
}

func (w *world) open(path string) {
	w.t.Helper()
	var err error
	w.book, err = incident.Open(incident.Options{File: statefile.At(path), Changed: func(c incident.Change) { w.changes = append(w.changes, c) }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) close() {
	if err := w.book.Close(); err != nil {
		w.t.Error(err)
	}
}

// deliver sends a message and returns what changed, as words.
func (w *world) deliver(c peer.Client, when time.Time, level tlsstate.Level) string {
	w.t.Helper()
	return w.event(w.decide(c, when, level))
}

func (w *world) decide(c peer.Client, when time.Time, level tlsstate.Level) ratchet.Event {
	w.t.Helper()
	p, err := peer.Identify(c)
	if err != nil {
		w.t.Fatal(err)
	}
	s := &ratchet.Session{At: when, Peer: p, From: "ann@Bank.example"}
	s.Level = level
	d := w.ratchet.Decide(s)
	w.ratchet.Learn(s, &d)
	e := ratchet.Event{Session: s, Decision: &d, Done: true}
	if d.Action >= tlsstate.Tempfail {
		e.Recipient, e.Refused = "bob@here.example", true
	} else {
		e.QueueID = "4XyZ12"
	}
	return e
}

func (w *world) event(e ratchet.Event) string {
	w.book.Handle(e)
	return w.reported()
}

func (w *world) tick(now time.Time) string {
	w.book.Tick(now)
	return w.reported()
}

// reported returns what changed since the last call.
func (w *world) reported() string {
	var words []string
	for _, c := range w.changes {
		words = append(words, string(c.What)+" "+c.Identity.String())
	}
	w.changes = nil
	return strings.Join(words, ", ")
}

// pin lets a peer use TLS for five days, up to start.
func (w *world) pin(c peer.Client) {
	for n := -5; n < 0; n++ {
		w.deliver(c, start.AddDate(0, 0, n), tlsstate.TLS13)
	}
	w.changes = nil
}

// broaden pins 16 addresses in 4 networks of the bank's domain.
func (w *world) broaden() {
	for network := range 4 {
		for host := range 7 {
			c := bank
			c.Addr = "203.0." + string(rune('1'+network)) + ".1" + string(rune('0'+host))
			w.pin(c)
		}
	}
}

// one returns the only incident.
func (w *world) one() incident.Incident {
	w.t.Helper()
	all := w.book.All()
	if len(all) != 1 {
		w.t.Fatalf("%d incidents, want 1", len(all))
	}
	return all[0]
}
