package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf"
)

// All pairs with few messages: real processes, real faults, a real server.
func TestRunPairs(t *testing.T) {
	var out, errs bytes.Buffer
	code := run([]string{
		"-tlsratchet", binary, "-no-c", "-steps=false", "-rounds", "1", "-messages", "40", "-lengths", "1", "-sessions", "2", "-pairs",
	}, nil, &out, &errs)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	for _, want := range []string{
		"| rate with a dead resolver to without", "| longest wait of a claimant in clear, resolver dead",
		"| rate with alert destinations that fail to without", "| memory with failing destinations, more than without", "the one that hangs 1",
		"| rate with a shared memory to without", "| commands to the shared server for 1,000 messages",
		"## A resolver that is dead", "## Alert destinations that fail", "## A memory that is shared", "in which 410 messages came to it",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
}

// Where there is no server, the rest is measured without.
func TestNoServer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	r := sample()
	before := len(r.left)
	if err := r.measureShared(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	if len(r.left) != before+1 || !strings.Contains(r.left[before], "Left out: a shared memory (") || len(r.pairs) != 0 {
		t.Errorf("left out %q, measured %v", r.left, r.pairs)
	}
}

// A pair whose tlsratchet doesn't start is an error, with what it said.
func TestPairThatFails(t *testing.T) {
	r := &report{options: &options{binary: binary, rounds: 1, sessions: 1, messages: 5}}
	err := r.duel(t.Context(), t.TempDir(), clients(peerCount), []setup{{name: "good"}, {name: "bad", config: "nosuch = 1"}},
		func(*duel) (*pair, error) { return nil, errors.New("measured") })
	if err == nil || !strings.Contains(err.Error(), "nosuch: unknown key") || strings.Contains(err.Error(), "measured") || len(r.pairs) > 0 {
		t.Errorf("%v, %v", err, r.pairs)
	}
}

func TestPairWrites(t *testing.T) {
	p := &pair{title: "Weather", words: "Rain.\n", base: "dry", facts: "It rained.\n", standings: standings{{"dry", even(1000)}, {"wet", even(940)}}}
	if diff := cmp.Diff(aim{"rate with wet to without", "at least 0.95", "0.94", false}, p.unchanged("wet"), cmp.AllowUnexported(aim{})); diff != "" {
		t.Error(diff)
	}
	p.aims = []aim{p.unchanged("wet")}
	r := sample()
	r.pairs = []*pair{p}
	if all := r.allAims(); all[len(all)-1] != p.aims[0] {
		t.Errorf("aims: %v", all)
	}
	var b bytes.Buffer
	if err := r.print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## Weather\n\nRain.\n\n|", "| rate to dry |", "|        0.94 |\n\nIt rained.\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, &b)
		}
	}
}

// The shares of a turn, also where it is a small one.
func TestPairShape(t *testing.T) {
	for _, test := range []struct{ messages, sessions, clears int }{{1, 1, 1}, {40, 2, 1}, {4000, 200, 2}, {4040, 202, 3}} {
		o := &options{messages: test.messages, rounds: 2}
		if o.pairSessions() != test.sessions || o.clears() != test.clears || o.pairTurns() != 81 {
			t.Errorf("%+v: %d sessions, %d in clear, %d turns", test, o.pairSessions(), o.clears(), o.pairTurns())
		}
	}
}

func TestInClear(t *testing.T) {
	m := mail(stranger(1))
	c := inClear(m)
	if c.Macros["{tls_version}"]+c.Macros["{cipher}"]+c.Macros["{cipher_bits}"] != "" || c.Macros["{client_addr}"] != m.Macros["{client_addr}"] {
		t.Errorf("in clear: %v", c.Macros)
	}
	if m.Macros["{tls_version}"] == "" {
		t.Error("the message itself was changed")
	}
}

// A claimant is nobody that we know, and claims the sender that its neighbour
// proved.
func TestClaims(t *testing.T) {
	senders := map[string]bool{}
	for _, c := range claims(allClaims) {
		p, err := peer.Identify(c.Client)
		other := c.Client
		other.Addr = neighbour(c.Addr)
		q, err2 := peer.Identify(other)
		if err != nil || err2 != nil || !p.Domain.IsZero() || p.Address == q.Address {
			t.Fatalf("%v and %v: %v, %v", p, q, err, err2)
		}
		claim, ok := spf.ClaimOf(&p, c.from)
		claim2, ok2 := spf.ClaimOf(&q, c.from)
		if !ok || !ok2 || claim.Identity != claim2.Identity {
			t.Errorf("%v and %v", claim.Identity, claim2.Identity)
		}
		senders[claim.Identity.Name] = true
	}
	if len(senders) != allClaims {
		t.Errorf("%d senders", len(senders))
	}
}

func TestPassing(t *testing.T) {
	q := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{{
		Name: dnsmessage.MustNewName("claim1.example."), Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET,
	}}}
	packed, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := passing(packed)
	if err != nil {
		t.Fatal(err)
	}
	var m dnsmessage.Message
	if err := m.Unpack(answer); err != nil || m.ID != 7 || !m.Response || len(m.Answers) != 1 {
		t.Errorf("%v, %v", m.GoString(), err)
	}
	if _, err := passing([]byte("nonsense")); err == nil {
		t.Error("an answer to nonsense")
	}
}

// What nobody asked measured nothing.
func TestAsked(t *testing.T) {
	answering, dead, err := newResolvers()
	if err != nil {
		t.Fatal(err)
	}
	defer answering.close()
	defer dead.close()
	if err := asked(answering, dead); err == nil {
		t.Error("nobody asked: no error")
	}
	answering.asked.Add(1)
	dead.asked.Add(1)
	if err := asked(answering, dead); err != nil {
		t.Error(err)
	}
}

func TestClaimantAim(t *testing.T) {
	for wait, met := range map[time.Duration]bool{0: true, proofWait + 3*time.Millisecond: true, 3 * time.Second: false} {
		if a := claimantAim(wait); a.met != met {
			t.Errorf("%v: %+v", wait, a)
		}
	}
}

// Each fails in its own way, and is counted.
func TestHooks(t *testing.T) {
	h, err := newHooks()
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	client := &http.Client{Timeout: 200 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	results := map[string]string{}
	for _, k := range h.kinds {
		answer, err := client.Post("http://"+h.listener.Addr().String()+"/"+k.path, "text/plain", strings.NewReader("alert"))
		if err != nil {
			results[k.path] = err.Error()
			continue
		}
		n, _ := io.CopyN(io.Discard, answer.Body, 1<<20)
		answer.Body.Close()
		if results[k.path] = answer.Status; n == 1<<20 {
			results[k.path] += ", much"
		}
	}
	for path, want := range map[string]string{"hangs": "Timeout", "resets": "reset by peer", "fails": "500", "floods": "200 OK, much"} {
		if !strings.Contains(results[path], want) {
			t.Errorf("%s: %q, want %q", path, results[path], want)
		}
	}
	if err := h.called(t.Context()); err != nil {
		t.Error(err)
	}
	h.heal()
	if answer, err := client.Post("http://"+h.listener.Addr().String()+"/hangs", "text/plain", nil); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("healed: %v, %v", answer, err)
	}
	// A reset may be tried again by the client itself.
	if text := h.String(); !strings.Contains(text, "the one that hangs 2") || !strings.Contains(text, "that with 1 GB 1.") {
		t.Error(text)
	}
}

func TestMemory(t *testing.T) {
	for status, want := range map[string]int64{
		"Name:\tx\nVmRSS:\t  900 kB\nRssAnon:\t    300 kB\nRssFile:\t 600 kB\n": 300 << 10,
		"Name:\tx\n":                 -1,
		"Name:\tx\nRssAnon:\tmuch\n": -1,
	} {
		got, err := parseMemory(status)
		if want < 0 && err == nil || want >= 0 && got != want {
			t.Errorf("%q: %d, %v", status, got, err)
		}
	}
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := parseMemory(string(text)); err != nil || n < 1<<20 {
		t.Errorf("of this process: %d, %v", n, err)
	}
	m := memories{before: []int64{10 << 20, 20 << 20}, after: []int64{30 << 20, 29 << 20}}
	want := []aim{
		{"memory with failing destinations, since half way", "at most 8.0 MB", "9.0 MB", false},
		{"memory with failing destinations, more than without", "at most 8.0 MB", "-1.0 MB", true},
	}
	if diff := cmp.Diff(want, m.aims(), cmp.AllowUnexported(aim{})); diff != "" {
		t.Error(diff)
	}
}

func TestInfo(t *testing.T) {
	const text = "# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\n" +
		"cmdstat_get:calls=5,usec=9,usec_per_call=1.80\r\ncmdstat_info:calls=3,usec=1\r\ncmdstat_quit:calls=2,usec=1\r\ndb0:keys=901,expires=900\r\n"
	before := parseInfo(text)
	if before.version != "Valkey 8.0.1" || before.keys != 901 || before.commands["get"] != 5 {
		t.Errorf("%+v", before)
	}
	after := parseInfo(strings.NewReplacer("get:calls=5", "get:calls=7", "info:calls=3", "info:calls=5", "quit:calls=2", "quit:calls=3").Replace(text))
	// One INFO and one QUIT are the asking's own.
	if diff := cmp.Diff(map[string]int{"get": 2, "info": 1}, before.since(after)); diff != "" {
		t.Error(diff)
	}
	if i := parseInfo("redis_version:6.0.16\r\nnonsense\r\n"); i.version != "Redis 6.0.16" || i.keys != 0 {
		t.Errorf("%+v", i)
	}
}

func TestSent(t *testing.T) {
	var p pair
	a := p.sent(map[string]int{"info": 2, "get": 3}, 2500, 31*time.Second)
	if a.got != "2.00" || a.met || !strings.Contains(p.facts, "In these 31 seconds, in which 2,500 messages came to it, the server was sent 5 commands, get 3, info 2:") {
		t.Errorf("%+v: %s", a, p.facts)
	}
	if a := p.sent(nil, 2500, time.Second); a.got != "0.00" || !a.met || !strings.Contains(p.facts, "sent 0 commands:") {
		t.Errorf("%+v: %s", a, p.facts)
	}
}
