package incident_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// step is a message, n of them a second apart, or with n = 0 a look at the
// clock.
type step struct {
	at    time.Time
	n     int
	from  peer.Client
	level tlsstate.Level
	want  string
}

func look(at time.Time, want string) step { return step{at: at, want: want} }

func mail(at time.Time, from peer.Client, level tlsstate.Level, want string) step {
	return step{at, 1, from, level, want}
}

const (
	clear = tlsstate.Plaintext
	tls   = tlsstate.TLS13
)

func TestProgressions(t *testing.T) {
	host := bank // one of the domain's own
	host.Addr = "203.0.1.10"
	for _, tt := range []struct {
		name   string
		action tlsstate.Action
		broad  bool
		steps  []step
	}{
		{"stripped once, and back", tlsstate.Header, false, []step{
			mail(at(0, 0), bank, clear, "opened address:192.0.2.10"),
			mail(at(0, 1), bank, tls, "closed address:192.0.2.10"),
			mail(at(0, 2), bank, tls, ""),
		}},
		{"ten more the same day report nothing", tlsstate.Header, false, []step{
			mail(at(0, 0), bank, clear, "opened address:192.0.2.10"),
			{at(0, 2), 10, bank, clear, ""},
			look(at(0, 3), ""),
			mail(at(0, 4), bank, tls, "closed address:192.0.2.10"),
		}},
		{"quiet for a day", tlsstate.Header, false, []step{
			mail(at(0, 0), bank, clear, "opened address:192.0.2.10"),
			look(at(0, 23), ""),
			look(at(1, 0), "closed address:192.0.2.10"),
			look(at(1, 1), ""),
		}},
		{"a clock that was ahead leaves nothing open, and silences nothing", tlsstate.Header, false, []step{
			mail(at(20, 0), bank, clear, "opened address:192.0.2.10"),
			look(at(0, 0), "closed address:192.0.2.10"),
			mail(at(0, 2), bank, clear, "opened address:192.0.2.10"),
			look(at(0, 3), ""),
		}},
		{"ten times larger, and no sooner than in an hour", tlsstate.Header, false, []step{
			mail(at(0, 0), bank, clear, "opened address:192.0.2.10"),
			{at(0, 0), 150, bank, clear, ""},
			mail(at(0, 1), bank, clear, "grown address:192.0.2.10"),
			{at(0, 3), 200, bank, clear, ""},
		}},
		{"a day older", tlsstate.Header, false, []step{
			mail(at(0, 0), bank, clear, "opened address:192.0.2.10"),
			mail(at(0, 20), bank, clear, ""),
			mail(at(1, 1), bank, clear, "grown address:192.0.2.10"),
		}},
		{"a worse kind is reported at once", tlsstate.Header, false, []step{
			mail(at(0, 0), bank, tlsstate.Weak, "opened address:192.0.2.10"),
			mail(at(0, 1), bank, clear, "grown address:192.0.2.10"),
			mail(at(0, 2), bank, tlsstate.Weak, ""),
		}},
		{"now with and now without is reported ever more seldom", tlsstate.Header, false, []step{
			mail(at(0, 0), bank, clear, "opened address:192.0.2.10"),
			mail(at(0, 1), bank, tls, "closed address:192.0.2.10"),
			mail(at(0, 1), bank, clear, ""),
			mail(at(0, 1), bank, tls, ""),
			mail(at(0, 4), bank, clear, "opened address:192.0.2.10"),
			mail(at(0, 5), bank, tls, "closed address:192.0.2.10"),
			mail(at(0, 6), bank, clear, ""),
			mail(at(0, 7), bank, tls, ""),
		}},
		{"what goes on after its end was reported is reported when the pause is over", tlsstate.Header, false, []step{
			mail(at(0, 0), bank, clear, "opened address:192.0.2.10"),
			mail(at(0, 1), bank, tls, "closed address:192.0.2.10"),
			mail(at(0, 1), bank, clear, ""),
			mail(at(0, 2), bank, clear, "opened address:192.0.2.10"),
			mail(at(0, 3), bank, clear, ""),
		}},
		{"another incident after more than a day", tlsstate.Header, false, []step{
			mail(at(0, 0), bank, clear, "opened address:192.0.2.10"),
			mail(at(0, 1), bank, tls, "closed address:192.0.2.10"),
			mail(at(1, 2), bank, clear, "opened address:192.0.2.10"),
		}},
		{"let through again on the third day", tlsstate.Header, false, []step{
			mail(at(0, 0), bank, clear, "opened address:192.0.2.10"),
			mail(at(0, 23), bank, clear, ""),
			mail(at(1, 20), bank, clear, "released address:192.0.2.10"),
			mail(at(1, 21), bank, clear, ""),
			look(at(1, 23), "closed address:192.0.2.10"),
			mail(at(2, 21), bank, clear, ""),
			mail(at(4, 0), bank, tls, ""),
		}},
		{"refused for a day", tlsstate.Tempfail, false, []step{
			mail(at(0, 0), bank, clear, "opened address:192.0.2.10"),
			mail(at(0, 20), bank, clear, ""),
			look(at(0, 23), ""),
			look(at(1, 0), "waiting address:192.0.2.10"),
			look(at(1, 1), ""),
		}},
		{"refused for days that nobody looked at is reported once", tlsstate.Tempfail, false, []step{
			mail(at(0, 0), bank, clear, "opened address:192.0.2.10"),
			mail(at(1, 23), bank, clear, "grown address:192.0.2.10"),
			look(at(1, 23), "waiting address:192.0.2.10"),
			look(at(2, 22), ""),
		}},
		{"held mail is reported after it closed too", tlsstate.Quarantine, false, []step{
			mail(at(0, 0), bank, clear, "opened address:192.0.2.10"),
			mail(at(0, 1), bank, tls, "closed address:192.0.2.10"),
			look(at(0, 23), ""),
			look(at(1, 0), "holding address:192.0.2.10"),
			look(at(2, 0), ""),
			look(at(3, 0), "holding address:192.0.2.10"),
			look(at(9, 0), ""),
		}},
		{"a narrow domain speaks for a stranger", tlsstate.Header, false, []step{
			mail(at(0, 0), stranger, clear, "opened domain:bank.example"),
			mail(at(0, 1), bank, tls, ""), // an address of its own states nothing of that one
			mail(at(0, 2), stranger, tls, "closed domain:bank.example"),
		}},
		{"known plaintext is one incident in all", tlsstate.Reject, true, []step{
			mail(at(0, 0), stranger, clear, "opened domain:bank.example"),
			mail(at(1, 1), stranger, clear, "grown domain:bank.example"),
			mail(at(2, 0), host, tls, ""),
			mail(at(2, 0), stranger, clear, ""),
			mail(at(3, 0), host, tls, ""),
			mail(at(3, 0), stranger, clear, "opened domain:bank.example"), // known from now on
			look(at(3, 2), "closed domain:bank.example"),
			look(at(4, 0), "closed domain:bank.example"),
			mail(at(4, 1), stranger, clear, ""),
			{at(4, 4), 200, stranger, clear, ""},
			look(at(6, 0), ""),
		}},
		{"pin formed", tlsstate.Header, false, []step{
			mail(at(0, 0), bank, tls, ""),
			{at(1, 0), 1, client("192.0.2.77"), tls, ""},
			{at(2, 0), 1, client("192.0.2.77"), tls, ""},
			{at(3, 0), 1, client("192.0.2.77"), tls, ""},
			{at(4, 0), 1, client("192.0.2.77"), tls, ""},
			{at(5, 0), 1, client("192.0.2.77"), tls, "pinned address:192.0.2.77"},
			{at(5, 1), 1, client("192.0.2.77"), tls, ""},
		}},
		{"pin lapsed", tlsstate.Header, false, []step{
			mail(at(199, 0), client("192.0.2.99"), tls, ""), // the clock is ahead
			mail(at(200, 0), client("192.0.2.99"), tls, ""),
			mail(at(200, 0), bank, clear, "lapsed address:192.0.2.10"),
			mail(at(200, 1), bank, clear, ""),
			mail(at(201, 0), bank, clear, ""),
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.action, "")
			w.pin(bank)
			if tt.broad {
				w.broaden()
			}
			for n, s := range tt.steps {
				if got := w.step(s); got != s.want {
					t.Errorf("step %d, %s: got %q, want %q", n+1, s.at.Format(time.DateTime), got, s.want)
				}
			}
		})
	}
}

// client is a host without a name.
func client(addr string) peer.Client {
	return peer.Client{Addr: addr, DaemonAddr: bank.DaemonAddr, DaemonPort: bank.DaemonPort}
}

func (w *world) step(s step) (got string) {
	w.t.Helper()
	if s.n == 0 {
		return w.tick(s.at)
	}
	for n := range s.n {
		more := w.deliver(s.from, s.at.Add(time.Duration(n)*time.Second), s.level)
		if got != "" && more != "" {
			got += ", "
		}
		got += more
	}
	return got
}

// TestGathered is what an incident keeps.
func TestGathered(t *testing.T) {
	w := newWorld(t, tlsstate.Tempfail, filepath.Join(t.TempDir(), "incidents.json"))
	w.pin(bank)
	w.deliver(bank, at(0, 0), clear)
	exempt := w.decide(bank, at(0, 1), clear)
	exempt.Refused, exempt.QueueID = false, "AbC123" // it went to postmaster
	w.event(exempt)
	gone := w.decide(bank, at(0, 2), tlsstate.Weak)
	gone.Done, gone.Session.From = false, ""
	w.event(gone)
	got := w.one()
	want := incident.Incident{
		ID: 1, Identity: tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"},
		Kind: tlsstate.Stripped, Cap: tlsstate.Reject,
		Evidence: incident.Evidence{Pin: tlsstate.TLS12, Since: tlsstate.DayOf(start) - 1, Last: tlsstate.DayOf(start) - 1, Days: 5, Below: 1},
		Words:    "address:192.0.2.10 came in clear; it used TLSv1.2 or better on 5 of the last 64 days, last on 2026-08-31, pinned since 2026-08-31",
		Opened:   at(0, 0), Last: at(0, 2), Refused: at(0, 0),
		Messages: 3, Undone: 1,
		Clients: []incident.Client{{Address: "192.0.2.10", Host: "mx1.bank.example"}},
		From:    []string{"bank.example"},
	}
	want.Done[tlsstate.Tempfail], want.Done[tlsstate.Header] = 1, 1
	want.Seen[tlsstate.Plaintext], want.Seen[tlsstate.Weak] = 2, 1
	if diff := cmp.Diff(fmt.Sprintf("%+v", plain(want)), fmt.Sprintf("%+v", plain(got))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// plain is an incident without what the book keeps for itself.
func plain(i incident.Incident) any {
	return []any{i.ID, i.Identity, i.Kind, i.Cap, i.Evidence, i.Words, i.Opened, i.Last, i.Closed, i.ClosedBy,
		i.Messages, i.Done, i.Undone, i.Seen, i.Clients, i.From, i.Held, i.Refused}
}

// TestBounds: names are a few, counts are of all, and what a peer chose is
// clean.
func TestBounds(t *testing.T) {
	w := newWorld(t, tlsstate.Quarantine, "")
	w.broaden()
	for n := range 50 {
		c := stranger
		c.Addr = fmt.Sprintf("198.18.7.%d", n+1)
		e := w.decide(c, at(0, 0).Add(time.Duration(n)*time.Second), clear)
		e.Session.From = fmt.Sprintf("<a\"@b@\x1b[31m%d.example\r\n>", n)
		e.QueueID = fmt.Sprintf("Q%d", n)
		if n == 0 {
			e.QueueID = "Q0; rm -rf /"
		}
		w.event(e)
	}
	i := w.one()
	if i.Messages != 50 || i.Done[tlsstate.Quarantine] != 50 {
		t.Errorf("%d messages, %d held", i.Messages, i.Done[tlsstate.Quarantine])
	}
	if len(i.Clients) != incident.MaxClients || len(i.From) != incident.MaxFrom || len(i.Held) != incident.MaxHeld {
		t.Errorf("%d clients, %d domains, %d held", len(i.Clients), len(i.From), len(i.Held))
	}
	if got := i.From[0]; got != "?[31m0.example??" {
		t.Errorf("domain %q", got)
	}
	if got := i.Held[len(i.Held)-1].QueueID; got != "Q49" {
		t.Errorf("the newest held is %s", got)
	}
}

// TestHeldReminderNames exactly the mail that is due.
func TestHeldReminderNames(t *testing.T) {
	w := newWorld(t, tlsstate.Quarantine, "")
	w.pin(bank)
	for n, hours := range []int{0, 10, 20} {
		e := w.decide(bank, at(0, hours), clear)
		e.QueueID = fmt.Sprintf("Q%d", n)
		w.event(e)
	}
	w.changes = nil
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{at(1, 0), "Q0"}, {at(1, 12), ""}, {at(2, 0), "Q1 Q2"}, {at(2, 23), ""}, {at(3, 0), "Q0"}, {at(5, 0), "Q1 Q2"}, {at(9, 0), ""},
	} {
		w.book.Tick(tt.at)
		got := ""
		for _, c := range w.changes {
			for _, h := range c.Held {
				got += " " + h.QueueID
			}
		}
		w.changes = nil
		if want := tt.want; got != "" && got[1:] != want || got == "" && want != "" {
			t.Errorf("%s: got %q, want %q", tt.at.Format(time.DateTime), got, want)
		}
	}
}

// TestUnpinned: an operator who drops the pin closes the incident, which is
// reported, outlives a restart, and never goes on: what comes later opens another.
func TestUnpinned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "incidents.json")
	w := newWorld(t, tlsstate.Tempfail, path)
	w.pin(bank)
	w.deliver(bank, at(0, 0), clear)
	first := w.one()
	for range 2 { // once is enough
		w.book.Unpinned(first.ID, at(0, 1))
	}
	w.book.Unpinned(first.ID+1, at(0, 1)) // there is none
	if got := w.reported(); got != "closed address:192.0.2.10" {
		t.Errorf("reported %q", got)
	}
	w.close()
	w.open(path)
	if got := w.one(); got.ClosedBy != incident.Unpinned || !got.Closed.Equal(at(0, 1)) {
		t.Errorf("after a restart: closed %s, %q", got.Closed, got.ClosedBy)
	}
	if got := w.tick(at(2, 0)); got != "" {
		t.Errorf("a day later: %s", got)
	}
	if got := w.deliver(bank, at(0, 2), clear); got != "opened address:192.0.2.10" {
		t.Errorf("a new pin is stripped: %q", got)
	}
	if n := len(w.book.All()); n != 2 {
		t.Errorf("%d incidents, want 2", n)
	}
}
