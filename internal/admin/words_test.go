package admin

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// A date is shown also where it is that of another: on the day a pin forms it
// is met, and an operator may drop it.
func TestEqualDates(t *testing.T) {
	rule := tlsstate.DefaultPolicy()
	const today tlsstate.Day = 20_000
	var h tlsstate.History
	for d := today - 4; d <= today; d++ {
		_, h = tlsstate.Judge(h, tlsstate.Observation{Day: d, Security: tlsstate.Security{Level: tlsstate.TLS12}}, &rule)
	}
	id := tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}
	d := detail(id, h, &rule, today)
	if len(d.Days) != 1 || d.Days["TLSv1.2"] != 5 {
		t.Errorf("days by level: %v", d.Days)
	}
	day := today.String()
	for _, p := range d.Pins[:2] {
		if p.Formed != today || p.Met != today {
			t.Errorf("%+v, want formed and met on %s", p, day)
		}
	}
	if want := "Pinned at TLSv1.2 since " + day + ", last met on " + day + ": holds."; d.Words[2] != want {
		t.Errorf("%q, want %q", d.Words[2], want)
	}
	d = detail(id, h.Unpin(today), &rule, today)
	if p := d.Pins[1]; p.Formed != today || p.Met != today || p.Void != today || !strings.Contains(strings.Join(d.Words, " "), "dropped by an operator on "+day) {
		t.Errorf("after unpin: %+v, %q", p, d.Words)
	}
}

// The audit line names the user of the connection. Others than root can't claim
// to be somebody else.
func TestWho(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := ConnContext(t.Context(), conn)
	if uid, ok := ctx.Value(peerKey{}).(uint32); !ok || uid != uint32(os.Getuid()) {
		t.Errorf("the peer is %d, %v, want %d", uid, ok, os.Getuid())
	}
	as := func(uid uint32) context.Context { return context.WithValue(t.Context(), peerKey{}, uid) }
	for _, tt := range []struct {
		ctx           context.Context
		claimed, want string
	}{
		{as(0), "alice", "alice"}, // sudo
		{as(0), "", "root"},
		{as(4_000_000), "root", "4000000"},
		{t.Context(), "alice", "alice"}, // the file
		{as(0), "a\nmsg=forged", "a?msg=forged"},
	} {
		if got := who(tt.ctx, tt.claimed); got != tt.want {
			t.Errorf("who(%q) = %q, want %q", tt.claimed, got, tt.want)
		}
	}
}

// FuzzLines: whatever is imported, a line is a history that can be exported and
// read again, or an error.
func FuzzLines(f *testing.F) {
	f.Add([]byte(`{"identity":"domain:a.example","history":{"first":"2026-01-05","last":"2026-01-05","seen":{"TLSv1.3":"1"},"weeks_tls":"1","no_certificate":"1"}}` + "\n\n{}"))
	f.Add([]byte(`{"identity":"address:2001:db8::/64","history":{"epoch":65535,"pins":{"weak":{"void":"2026-01-01"}}}}`))
	f.Add([]byte(`{"error":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for line, err := range Lines(strings.NewReader(string(b))) {
			if err != nil {
				return
			}
			if err := line.History.Valid(); err != nil {
				t.Fatalf("%+v: %v", line, err)
			}
			out, err := line.History.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			var again tlsstate.History
			if err := again.UnmarshalJSON(out); err != nil || again != line.History {
				t.Fatalf("%s: %+v, %v, want %+v", out, again, err, line.History)
			}
		}
	})
}

// An operator who drops the pin of a domain is shown that its addresses have
// pins of their own.
func TestUnpinNamesPinnedAddresses(t *testing.T) {
	memory := store.NewMemory(100)
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		t.Fatal(err)
	}
	now := tlsstate.Day(20_000).Time()
	l := &Local{Memory: memory, Rules: func(tlsstate.Kind) *tlsstate.Rules { return rules }, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
	for name, host := range map[string]string{"192.0.2.1": "mx1.bank.example", "192.0.2.2": "mx.otherbank.example", "192.0.2.3": "bank.example"} {
		h := pinnedUntil(20_000)
		h.Name = tlsstate.LastName(20_000, host, host)
		if _, err := memory.Update(tlsstate.Identity{Kind: tlsstate.Address, Name: name}, netip.Addr{}, 20_000, func(tlsstate.History) tlsstate.History { return h }); err != nil {
			t.Fatal(err)
		}
	}
	_, unpinned := tlsstate.Judge(tlsstate.History{}, tlsstate.Observation{Day: 20_000, Security: tlsstate.Security{Level: tlsstate.TLS12}}, rules.Default())
	unpinned.Name = tlsstate.LastName(20_000, "mx4.bank.example", "mx4.bank.example")
	if _, err := memory.Update(tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.4"}, netip.Addr{}, 20_000, func(tlsstate.History) tlsstate.History { return unpinned }); err != nil {
		t.Fatal(err)
	}
	domain := tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}
	if _, err := memory.Update(domain, netip.Addr{}, 20_000, func(tlsstate.History) tlsstate.History { return pinnedUntil(20_000) }); err != nil {
		t.Fatal(err)
	}
	d, err := l.do(t.Context(), Act{Do: "unpin", Identity: domain, Why: "x"})
	want := "Its addresses that hold a pin of their own: 2; tlsratchet peers --domain bank.example --addresses --pinned lists them."
	if err != nil || d.Words[len(d.Words)-1] != want {
		t.Errorf("%q, %v", d.Words, err)
	}
	n := 0
	for r, err := range l.peers(t.Context(), Query{Below: "bank.example", Addresses: true, Pinned: true}) {
		if n++; err != nil || !strings.HasSuffix(r.Host, "bank.example") || r.Host == "mx.otherbank.example" {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if n != 2 {
		t.Errorf("%d addresses, want 2", n)
	}
}

func pinnedUntil(last tlsstate.Day) (h tlsstate.History) {
	rule := tlsstate.DefaultPolicy()
	for d := last - 9; d <= last; d++ {
		_, h = tlsstate.Judge(h, tlsstate.Observation{Day: d, Security: tlsstate.Security{Level: tlsstate.TLS12}}, &rule)
	}
	return h
}

// TestBreadth: why a domain says nothing of an address never seen.
func TestBreadth(t *testing.T) {
	many := tlsstate.Marks{Networks: 7, Addresses: 1<<20 - 1}
	stay := many
	stay.Senders = 7
	for want, marks := range map[string]tlsstate.Marks{"broad": many, "not broad": {}, "not broad, each sender keeps to one address": stay} {
		if got := breadth(&tlsstate.Verdict{Marks: marks}); got != want {
			t.Errorf("%+v: %s, want %s", marks, got, want)
		}
	}
}

// A row that only requires a lower level does not keep the breaker from limiting
// what memory demands beyond it.
func TestBreakerOfARow(t *testing.T) {
	for _, tt := range []struct {
		required, peer bool
		want           string
	}{
		{true, false, "which limits no row of the configuration"},
		{false, true, "which limits no row of the configuration"},
		{false, false, "(nothing is refused or held"},
	} {
		e := ratchet.Explanation{Policy: tlsstate.Policy{Row: "bank.example", Peer: tt.peer}}
		e.Decision.Verdict = tlsstate.Verdict{Outcome: tlsstate.Downgraded, Kind: tlsstate.Weakened, Required: tt.required}
		e.Decision.Breaker = ratchet.Suspended
		if got := strings.Join(answer(&ratchet.Session{}, &e).Rules, " "); !strings.Contains(got, tt.want) {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

// TestDaysUntilToday: days count up to today, as on the page: a peer that did not come
// in 64 days has none, and no level.
func TestDaysUntilToday(t *testing.T) {
	rule, id := tlsstate.DefaultPolicy(), tlsstate.Identity{Kind: tlsstate.Domain, Name: "plain.example"}
	var h tlsstate.History
	for day := tlsstate.Day(20000); day < 20010; day++ {
		_, h = tlsstate.Judge(h, tlsstate.Observation{Day: day}, &rule)
	}
	q := Query{Leveled: true}
	for ago, want := range map[tlsstate.Day]int{0: 10, 60: 4, 64: 0, 200: 0} {
		if got := row(id, h, &rule, 20009+ago).Days["none"]; got != want || q.wants(id, &h, &rule, 20009+ago) != (want > 0) {
			t.Errorf("after %d days: %d, want %d", ago, got, want)
		}
	}
	if got := row(id, h, &rule, 20007).Days["none"]; got != 8 { // our clock was ahead
		t.Errorf("%d, want 8", got)
	}
}
