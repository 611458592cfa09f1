package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is a memory with some peers, and what the operator's acts logged.
type world struct {
	*admin.Admin
	memory *store.Memory
	log    *bytes.Buffer
}

// both runs a test on the memory itself and over the socket: the operations are
// the same.
func both(t *testing.T, run func(*testing.T, world)) {
	t.Run("local", func(t *testing.T) { run(t, newWorld(t)) })
	t.Run("over the socket", func(t *testing.T) {
		w := newWorld(t)
		socket := filepath.Join(t.TempDir(), "admin.sock")
		ln, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: admin.Handler(w.Admin)}
		go server.Serve(ln)
		client, err := admin.Dial(context.Background(), socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close(); server.Close() })
		w.Admin = client
		run(t, w)
	})
}

func newWorld(t *testing.T) world {
	t.Helper()
	w := world{memory: store.NewMemory(1000), log: &bytes.Buffer{}}
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		t.Fatal(err)
	}
	breaker := ratchet.NewBreaker(ratchet.BreakerOptions{Domains: 10, Window: 10 * time.Minute, PinDays: 7})
	w.Admin = (&admin.Local{Memory: w.memory, Rules: func(tlsstate.Kind) *tlsstate.Rules { return rules }, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(w.log, nil)), CircuitBreaker: breaker}).Admin()
	w.teach(t, "address:192.0.2.10", tlsstate.TLS13, 10, 1)
	w.teach(t, "address:192.0.2.20", tlsstate.Plaintext, 4, 1)
	w.teach(t, "address:192.0.2.30", tlsstate.TLS12, 3, 1)
	w.teach(t, "domain:bank.example", tlsstate.TLS13, 10, 1)
	w.teach(t, "domain:released.example", tlsstate.TLS12, 20, 6)
	w.teach(t, "domain:released.example", tlsstate.Plaintext, 4, 1)
	w.teach(t, "listener:25", tlsstate.TLS13, 10, 1)
	return w
}

// teach has an identity come at a level from so many days ago to so many.
func (w world) teach(t *testing.T, identity string, level tlsstate.Level, from, to int) {
	t.Helper()
	id, err := tlsstate.ParseIdentity(identity)
	if err != nil {
		t.Fatal(err)
	}
	rule, today := tlsstate.DefaultPolicy(), tlsstate.DayOf(now)
	for ago := from; ago >= to; ago-- {
		o := tlsstate.Observation{Day: today - tlsstate.Day(ago), Security: tlsstate.Security{Level: level}}
		if _, err := w.memory.Update(id, netip.Addr{}, today, func(h tlsstate.History) tlsstate.History {
			_, after := tlsstate.Judge(h, o, &rule)
			return after
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// identity is one that a test writes as logs do.
func identity(s string) (id tlsstate.Identity) {
	if err := id.UnmarshalText([]byte(s)); err != nil {
		panic(err)
	}
	return id
}

func identities(t *testing.T, rows iter.Seq2[admin.Row, error]) (all []string) {
	t.Helper()
	for r, err := range rows {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r.Identity)
	}
	return all
}

func TestPeers(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		for _, tt := range []struct {
			name string
			q    admin.Query
			want string
		}{
			{"all but listeners, in key order", admin.Query{}, "address:192.0.2.10 address:192.0.2.20 address:192.0.2.30 domain:bank.example domain:released.example"},
			{"pinned", admin.Query{Pinned: true}, "address:192.0.2.10 domain:bank.example"},
			{"released", admin.Query{Released: true}, "domain:released.example"},
			{"domains", admin.Query{Kind: tlsstate.Domain}, "domain:bank.example domain:released.example"},
			{"listeners", admin.Query{Kind: tlsstate.Listener}, "listener:25"},
			{"in clear", admin.Query{Leveled: true, Level: tlsstate.Plaintext}, "address:192.0.2.20"},
			{"one domain", admin.Query{Below: "bank.example"}, "domain:bank.example"},
			{"limited", admin.Query{Limit: 2}, "address:192.0.2.10 address:192.0.2.20"},
		} {
			if got := strings.Join(identities(t, w.Peers(t.Context(), tt.q)), " "); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
			}
		}
		w.teach(t, "address:192.0.2.10", tlsstate.Plaintext, 0, 0)
		w.teach(t, "domain:bank.example", tlsstate.Plaintext, 1, 1) // the day on which its pin was met
		if got := strings.Join(identities(t, w.Peers(t.Context(), admin.Query{Downgraded: true})), " "); got != "address:192.0.2.10 domain:bank.example" {
			t.Errorf("downgraded: %v", got)
		}
		if _, err := w.Do(t.Context(), admin.Act{Do: "forget", Identity: identity("address:192.0.2.20"), Why: "x"}); err != nil {
			t.Fatal(err)
		}
		for _, q := range []admin.Query{{Below: "192.0.2.20"}, {Leveled: true, Level: tlsstate.Plaintext}} {
			if got := identities(t, w.Peers(t.Context(), q)); len(got) != 0 {
				t.Errorf("%+v: a forgotten peer is listed: %v", q, got)
			}
		}
		if _, err := w.Peer(t.Context(), identity("address:192.0.2.29")); err == nil || strings.Contains(err.Error(), "address:192.0.2.20") {
			t.Errorf("a forgotten peer is proposed: %v", err)
		}
		for range w.Peers(t.Context(), admin.Query{}) {
			break // a reader that stops must not leave anything running
		}
	})
}

func TestPeer(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		d, err := w.Peer(t.Context(), tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"})
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.Repeat("-", 53) + "3333333333-"; d.Strip != want {
			t.Errorf("strip %s\nwant  %s", d.Strip, want)
		}
		want := []string{
			"First seen on 2026-11-12, last on 2026-11-21.",
			"Pinned at weak since 2026-11-16, last met on 2026-11-21: holds.",
			"Pinned at TLSv1.2 since 2026-11-16, last met on 2026-11-21: holds.",
		}
		if diff := cmp.Diff(want, d.Words); diff != "" {
			t.Error(diff)
		}
		if d.Pin != "TLSv1.2" || d.State != "holds" || d.Days["TLSv1.3"] != 10 {
			t.Errorf("%+v", d.Row)
		}
		d, err = w.Peer(t.Context(), tlsstate.Identity{Kind: tlsstate.Domain, Name: "released.example"})
		if err != nil {
			t.Fatal(err)
		}
		if s := strings.Join(d.Words, " "); !strings.Contains(s, "released: below it on 3 days since it was last met") || !strings.HasSuffix(d.Strip, "222-0000-") {
			t.Errorf("%s %s", s, d.Strip)
		}
		_, err = w.Peer(t.Context(), tlsstate.Identity{Kind: tlsstate.Domain, Name: "bamk.example"})
		if !errors.Is(err, admin.ErrUnknownPeer) || !strings.Contains(err.Error(), "similar names: domain:bank.example") {
			t.Errorf("unknown: %v", err)
		}
	})
}

// TestExplainedName: what a session is explained by stands in the first line, and that the
// address may have a pin of its own in the last, where only a name was given.
func TestExplainedName(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		q     admin.Question
		first string
		hint  bool
	}{
		{admin.Question{Name: "domain:bank.example"}, "A session in clear from bank.example.", true},
		{admin.Question{Name: "mx1.bank.example", TLS: "TLSv1.2"}, "A session with TLSv1.2 from mx1.bank.example.", true},
		{admin.Question{Name: "mx1.bank.example", Client: "192.0.2.10"}, "A session in clear from mx1.bank.example [192.0.2.10].", false},
		{admin.Question{Name: "192.0.2.10"}, "A session in clear from [192.0.2.10].", false},
	} {
		a, err := w.Explain(t.Context(), tt.q)
		if err != nil {
			t.Fatal(err)
		}
		last := a.Rules[len(a.Rules)-1]
		if tt.q.Name == "192.0.2.10" && (!strings.Contains(a.Rules[1], " Pin at TLSv1.2: ") || strings.Contains(a.Rules[1], "TLSv1.3:")) {
			t.Errorf("its pins: %q", a.Rules[1])
		}
		if a.Rules[0] != tt.first || strings.HasPrefix(last, "Only the name was judged.") != tt.hint {
			t.Errorf("%+v: %q", tt.q, a.Rules)
		}
	}
}

// TestReleasedAlone: a peer that is below a pin that holds is no released one.
func TestReleasedAlone(t *testing.T) {
	w := newWorld(t)
	w.teach(t, "address:192.0.2.10", tlsstate.Plaintext, 0, 0)
	for _, tt := range []struct {
		q    admin.Query
		want string
	}{
		{admin.Query{Released: true}, "[domain:released.example]"},
		{admin.Query{Downgraded: true}, "[address:192.0.2.10]"},
	} {
		if got := fmt.Sprint(identities(t, w.Peers(t.Context(), tt.q))); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.q, got, tt.want)
		}
	}
}

// TestNoSending: a daemon whose sending side is off is no missing daemon.
func TestNoSending(t *testing.T) {
	if _, err := newWorld(t).Outbound(t.Context(), admin.Override{}); err == nil || errors.Is(err, admin.ErrNoDaemon) || !strings.Contains(err.Error(), "switched off") {
		t.Errorf("of a daemon: %v", err)
	}
	if _, err := (&admin.Local{}).Admin().ExplainTo(t.Context(), "bank.example"); !errors.Is(err, admin.ErrNoDaemon) {
		t.Errorf("without one: %v", err)
	}
}

// TestTheFirstRowComesAtOnce: whoever lists a large memory sees something.
func TestTheFirstRowComesAtOnce(t *testing.T) {
	seen := make(chan struct{})
	rows := func(context.Context, admin.Query) iter.Seq2[admin.Row, error] {
		return func(yield func(admin.Row, error) bool) {
			if !yield(admin.Row{Identity: "first"}, nil) {
				return
			}
			select {
			case <-seen:
				yield(admin.Row{Identity: "second"}, nil)
			case <-time.After(time.Minute):
				yield(admin.Row{}, errors.New("the first row was not sent"))
			}
		}
	}
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: admin.Handler(&admin.Admin{Peers: rows})}
	go server.Serve(ln)
	defer server.Close()
	a, err := admin.Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for r, err := range a.Peers(t.Context(), admin.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Identity == "first" {
			close(seen)
		}
	}
}

// sharedMemory is one of several hosts: the list of all is dear.
type sharedMemory struct {
	*store.Memory
	listed int
}

func (m *sharedMemory) All(tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error) {
	m.listed++
	return m.Memory.All(tlsstate.Identity{})
}

func (m *sharedMemory) Here(start tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error) {
	return m.Memory.All(start)
}

func (m *sharedMemory) Unread(id tlsstate.Identity) (key string) {
	if id.Kind == tlsstate.Domain {
		key = "tlsratchet:" + id.String()
	}
	return key
}

// Where the shared server's record can't be read, an act is done on this host alone, and
// that is stated.
func TestActsOnThisHostAlone(t *testing.T) {
	w := newWorld(t)
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		t.Fatal(err)
	}
	l := (&admin.Local{Memory: &sharedMemory{Memory: w.memory}, Rules: func(tlsstate.Kind) *tlsstate.Rules { return rules }, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}).Admin()
	for name, want := range map[string]string{"domain:bank.example": "else delete its key and do this again: tlsratchet:domain:bank.example", "address:192.0.2.10": ""} {
		d, err := l.Do(t.Context(), admin.Act{Do: "unpin", Identity: identity(name), Why: "test"})
		if err != nil || !strings.HasSuffix(d.Later, want) || (d.Later == "") != (want == "") {
			t.Errorf("%s: %q, %v", name, d.Later, err)
		}
	}
	for first, want := range map[int]string{0: "do this again: " + strings.Join(keys(0, 20), ", ") + ", and maybe more", 28: "do this again: " + strings.Join(keys(28, 30), ", "), 30: ""} {
		done, err := l.Import(t.Context(), "import", "somebody", func(yield func(admin.Line, error) bool) {
			for i := first; i < 40; i++ {
				id := tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprintf("d%d.example", i)}
				if i >= 30 {
					id = tlsstate.Identity{Kind: tlsstate.Address, Name: fmt.Sprintf("192.0.2.%d", i)}
				}
				if !yield(admin.Line{Identity: id}, nil) {
					return
				}
			}
		})
		if err != nil || !strings.HasSuffix(done.Later, want) || (done.Later == "") != (want == "") {
			t.Errorf("import: %q, %v, want %q", done.Later, err, want)
		}
	}
}

// keys are those of the server's that can't be read.
func keys(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("tlsratchet:domain:d%d.example", i))
	}
	return all
}

// A mistyped name doesn't fetch what all hosts know: what is near it comes from
// this one.
func TestSlipsAreCheap(t *testing.T) {
	w := newWorld(t)
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := &sharedMemory{Memory: w.memory}
	l := (&admin.Local{Memory: m, Rules: func(tlsstate.Kind) *tlsstate.Rules { return rules }, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}).Admin()
	slip := tlsstate.Identity{Kind: tlsstate.Domain, Name: "bamk.example"}
	_, shown := l.Peer(t.Context(), slip)
	_, done := l.Do(t.Context(), admin.Act{Do: "unpin", Identity: slip, Why: "a slip"})
	for _, err := range []error{shown, done} {
		if !errors.Is(err, admin.ErrUnknownPeer) || !strings.Contains(err.Error(), "similar names: domain:bank.example") {
			t.Errorf("unknown: %v", err)
		}
	}
	if m.listed != 0 {
		t.Errorf("all hosts' memory was listed %d times", m.listed)
	}
}

func TestBreaker(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		if s, err := w.Breaker(t.Context(), admin.Override{}); err != nil || s.Answer != ratchet.Armed || s.Override != nil {
			t.Errorf("%+v, %v", s, err)
		}
		o := admin.Override{Answer: "suspended", Why: "moving house", Who: "root"}
		if s, err := w.Breaker(t.Context(), o); err != nil || s.Override == nil || *s.Override != ratchet.Suspended {
			t.Errorf("%+v, %v", s, err)
		}
		if got := w.log.String(); !strings.Contains(got, `act=breaker answer=suspended why="moving house" who=root`) {
			t.Errorf("log: %s", got)
		}
		o.Answer = "auto"
		if s, err := w.Breaker(t.Context(), o); err != nil || s.Override != nil {
			t.Errorf("%+v, %v", s, err)
		}
		for _, bad := range []admin.Override{{Answer: "off", Why: "x"}, {Answer: "armed"}} {
			if _, err := w.Breaker(t.Context(), bad); !errors.Is(err, admin.ErrBadRequest) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
	})
}

func TestSummary(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		if s, err := w.Summary(t.Context()); err != nil || s.Newest != "2026-11-21" {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestExplain(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		for _, tt := range []struct {
			q    admin.Question
			want string
			rule string
		}{
			{admin.Question{Name: "mx1.bank.example", Client: "192.0.2.10", TLS: "none"}, "downgrade stripped header address:192.0.2.10", "allows reject at most. So it is header."},
			{admin.Question{Name: "mx1.bank.example", TLS: "none"}, "downgrade stripped header domain:bank.example", "not broad"},
			{admin.Question{Name: "mx1.bank.example", Client: "192.0.2.10", TLS: "TLSv1.2"}, "steady  observe address:192.0.2.10", "the message is accepted"},
			{admin.Question{Name: "address:2001:db8::1"}, "new  observe address:2001:db8::1", "never seen"},
			{admin.Question{Client: "2001:db8::1"}, "new  observe address:2001:db8::1", "never seen"}, // as alerts print it
			{admin.Question{Client: "203.0.113.1"}, "new  observe address:203.0.113.1", "never seen"},
			{admin.Question{Name: "mx.bamk.example"}, "new  observe domain:bamk.example", "Nothing is known of domain:bamk.example. Similar names: domain:bank.example."},
			{admin.Question{Name: "released.example", TLS: "none"}, "learning  observe domain:released.example", "the pin no longer holds"},
		} {
			a, err := w.Explain(t.Context(), tt.q)
			if err != nil {
				t.Errorf("%+v: %v", tt.q, err)
				continue
			}
			got := strings.Join([]string{a.Outcome, a.Kind, a.Action, a.Speaks}, " ")
			if got != tt.want || !strings.Contains(strings.Join(a.Rules, "\n"), tt.rule) {
				t.Errorf("%+v: got %s, want %s; rules:\n%s", tt.q, got, tt.want, strings.Join(a.Rules, "\n"))
			}
		}
		for _, q := range []admin.Question{{}, {Name: "a b"}, {Client: "no address"}, {Name: "listener:25"}, {Name: "destination:bank.example"}, {Name: "192.0.2.10", Client: "192.0.2.11"}} {
			if _, err := w.Explain(t.Context(), q); !errors.Is(err, admin.ErrBadRequest) {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}

// TestExplainBreaker: what the breaker makes of the action is in the answer.
func TestExplainBreaker(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		if _, err := w.Breaker(t.Context(), admin.Override{Answer: "suspended", Why: "test"}); err != nil {
			t.Fatal(err)
		}
		a, err := w.Explain(t.Context(), admin.Question{Client: "192.0.2.10", TLS: "none"})
		if err != nil || !strings.Contains(strings.Join(a.Rules, "\n"), "The answer of the circuit breaker is suspended (nothing is refused or held, but for [[peer]] rows; downgrades get a header at most): header.") {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

// TestPinsOfOneDay: a pin has all its dates, though they are the same day.
func TestPinsOfOneDay(t *testing.T) {
	w := newWorld(t)
	w.teach(t, "address:192.0.2.40", tlsstate.TLS13, 5, 1)
	d, err := w.Peer(t.Context(), tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.40"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Pins {
		if p.Formed != 0 && (p.Formed.String() != "2026-11-21" || p.Met.String() != "2026-11-21") {
			t.Errorf("%+v", p)
		}
	}
}

func TestActs(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		act := admin.Act{Do: "unpin", Identity: identity("address:192.0.2.10"), Why: "they\nmoved", Who: "root"}
		d, err := w.Do(t.Context(), act)
		if err != nil {
			t.Fatal(err)
		}
		if d.Pin != "" || d.Days["TLSv1.3"] != 10 || d.Raw.Epoch != 1 {
			t.Errorf("unpinned: %+v", d)
		}
		if got := w.log.String(); !strings.Contains(got, `act=unpin identity=address:192.0.2.10 why=they?moved who=root`) {
			t.Errorf("log: %s", got)
		}
		act.Do = "forget"
		if d, err = w.Do(t.Context(), act); err != nil || d.Words[0] != "Forgotten by an operator, and not seen since." {
			t.Errorf("forgotten: %+v, %v", d.Words, err)
		}
		for want, bad := range map[string]admin.Act{
			"give a reason":       {Do: "unpin", Identity: identity("address:192.0.2.30"), Why: " \t"},
			"use unpin or forget": {Do: "delete", Identity: identity("address:192.0.2.30"), Why: "x"},
			"no history":          {Do: "unpin", Identity: identity("domain:nobody.example"), Why: "x"},
		} {
			if _, err := w.Do(t.Context(), bad); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: got %v, want %s", bad, err, want)
			}
		}
	})
}

// What is exported is imported again: on an empty memory it gives the same, on
// the full one nothing changes, and an unpin stands.
func TestExportImport(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		var lines []admin.Line
		for l, err := range w.Export(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, l)
		}
		if len(lines) != 6 {
			t.Fatalf("%d lines", len(lines))
		}
		done, err := w.Import(t.Context(), "import", "alice", seq(lines))
		if err != nil || !cmp.Equal(done, admin.Imported{Lines: 6}) {
			t.Errorf("over itself: %+v, %v", done, err)
		}
		if _, err := w.Do(t.Context(), admin.Act{Do: "unpin", Identity: identity("domain:bank.example"), Why: "test"}); err != nil {
			t.Fatal(err)
		}
		if done, err := w.Import(t.Context(), "import", "alice", seq(lines)); err != nil || done.Changed != 0 {
			t.Errorf("over an unpin: %+v, %v", done, err)
		}
		other := newWorld(t)
		other.memory.Close()
		other = world{memory: store.NewMemory(100), log: &bytes.Buffer{}}
		rules, _ := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
		other.Admin = (&admin.Local{Memory: other.memory, Rules: func(tlsstate.Kind) *tlsstate.Rules { return rules }, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}).Admin()
		if done, err := other.Import(t.Context(), "import", "alice", seq(append(lines, lines...))); err != nil || !cmp.Equal(done, admin.Imported{Lines: 12, Changed: 6}) {
			t.Errorf("doubled into nothing: %+v, %v", done, err)
		}
		var future tlsstate.History
		rule := tlsstate.DefaultPolicy()
		_, future = tlsstate.Judge(future, tlsstate.Observation{Day: tlsstate.DayOf(now) + 2}, &rule)
		done, err = w.Import(t.Context(), "import", "alice", seq([]admin.Line{{Identity: identity("domain:future.example"), History: future}}))
		if err != nil || done.Refused != 1 {
			t.Errorf("from the future: %+v, %v", done, err)
		}
		if want := []string{"line 1: domain:future.example is dated later than tomorrow"}; !cmp.Equal(done.Reasons, want) {
			t.Errorf("%q, want %q", done.Reasons, want)
		}
		_, err = w.Import(t.Context(), "import", "alice", admin.Lines(strings.NewReader("{\"identity\":\"domain:a.example\",\"history\":{}}\n\n{\"surprise\":1}\n")))
		if !errors.Is(err, admin.ErrBadRequest) && !strings.Contains(fmt.Sprint(err), "surprise") {
			t.Errorf("a bad line: %v", err)
		}
	})
}

// A name that nothing has which is judged is refused with the number of its line, and
// the lines around it are merged. What logs and exports have is taken.
func TestImportedNames(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		var lines []admin.Line
		_, h := tlsstate.Judge(tlsstate.History{}, tlsstate.Observation{Day: tlsstate.DayOf(now)}, new(tlsstate.Policy))
		for _, name := range []string{
			"address:192.0.2.99", "address:2001:db8::99", "domain:new.example", "sender:new.example/mx.example", "sender:new.example/192.0.2.0/24",
			"listener:465", "listener:any", "destination:new.example", "mx:mx.new.example", "network:192.0.2.0/24", "network:2001:db8::/48",
			"address:mx.example", "address:2001:DB8::9", "domain:Bank.Example", "domain:mx1.bank.example", "domain:co.uk", "sender:new.example", "sender:new.example/co.uk",
			"listener:192.0.2.1:25", "destination:[mx.example]", "mx:mx.example.", "network:192.0.2.1/24", "network:x", "domain:last.example",
		} {
			lines = append(lines, admin.Line{Identity: identity(name), History: h})
		}
		done, err := w.Import(t.Context(), "import", "alice", seq(lines))
		want := admin.Imported{Lines: 24, Changed: 12, Refused: 12, Reasons: []string{
			"line 12: address:mx.example never matches a session or a delivery",
			"line 13: address:2001:DB8::9 never matches a session or a delivery: use address:2001:db8::9",
			"line 14: domain:Bank.Example never matches a session or a delivery: use domain:bank.example",
			"line 15: domain:mx1.bank.example never matches a session or a delivery: use domain:bank.example",
			"line 16: domain:co.uk never matches a session or a delivery",
			"line 17: sender:new.example never matches a session or a delivery",
			"line 18: sender:new.example/co.uk never matches a session or a delivery",
			"line 19: listener:192.0.2.1:25 never matches a session or a delivery",
			"line 20: destination:[mx.example] never matches a session or a delivery",
			"line 21: mx:mx.example. never matches a session or a delivery: use mx:mx.example",
			"line 22: network:192.0.2.1/24 never matches a session or a delivery: use network:192.0.2.0/24",
			"line 23: network:x never matches a session or a delivery",
		}}
		if diff := cmp.Diff(want, done); diff != "" || err != nil {
			t.Errorf("%v, %s", err, diff)
		}
	})
}

// A question or a line of JSON may leave out the identity.
func TestNoIdentity(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		if _, err := w.Peer(t.Context(), tlsstate.Identity{}); !errors.Is(err, admin.ErrBadRequest) {
			t.Errorf("peer: %v", err)
		}
		if _, err := w.Do(t.Context(), admin.Act{Do: "unpin", Why: "x"}); !errors.Is(err, admin.ErrBadRequest) {
			t.Errorf("act: %v", err)
		}
		lines := admin.Lines(strings.NewReader(`{"history":{}}`))
		if _, err := w.Import(t.Context(), "import", "alice", lines); !errors.Is(err, admin.ErrBadRequest) || !strings.Contains(err.Error(), "line 1: ") {
			t.Errorf("import: %v", err)
		}
	})
}

func seq(lines []admin.Line) iter.Seq2[admin.Line, error] {
	return func(yield func(admin.Line, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	}
}

func TestResolve(t *testing.T) {
	for name, want := range map[string]string{
		"192.0.2.10":          "address:192.0.2.10",
		"2001:db8::1":         "address:2001:db8::1",
		"64:ff9b::192.0.2.10": "address:192.0.2.10",

		"address:64:ff9b::192.0.2.10": "address:192.0.2.10",
		"address:2001:DB8::1":         "address:2001:db8::1",
		"address:none":                "address:none",
		"destination:[192.0.2.10]":    "destination:[192.0.2.10]",

		"2001:db8::/64":         "",
		"MX1.Bank.Example.":     "domain:bank.example",
		"domain:bank.example":   "domain:bank.example",
		"listener:192.0.2.1:25": "listener:192.0.2.1:25",
		"b\u00fccher.example":   "domain:xn--bcher-kva.example",
		"co.uk":                 "",
		"a b":                   "",
	} {
		id, err := admin.Resolve(name)
		if want == "" {
			if !errors.Is(err, admin.ErrBadRequest) {
				t.Errorf("%q: %v, %v", name, id, err)
			}
			continue
		}
		if err != nil || id.String() != want {
			t.Errorf("%q: %v, %v", name, id, err)
		}
	}
}

func TestDialFails(t *testing.T) {
	if _, err := admin.Dial(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, admin.ErrNoDaemon) {
		t.Errorf("no socket: %v", err)
	}
	stale := filepath.Join(t.TempDir(), "stale")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	if _, err := admin.Dial(t.Context(), stale); !errors.Is(err, admin.ErrNoDaemon) {
		t.Errorf("a stale socket: %v", err)
	}
}
