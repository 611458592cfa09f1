package status_test

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/status"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// believer proves all senders, and no other claim.
type believer struct{}

func (believer) Prove(_ context.Context, c spf.Claim) spf.Result {
	if c.Identity.Kind == tlsstate.Sender {
		return spf.Proven
	}
	return spf.NotPassed
}
func (believer) Tried(spf.Claim) bool         { return true }
func (believer) Learn(spf.Claim, func()) bool { return false }

// life is what a peer did: at a level on the days from so many ago to so many ago.
type life struct {
	identity string
	level    tlsstate.Level
	from, to int
}

var lives = []life{
	{"listener:25", tlsstate.TLS13, 20, 1}, {"listener:any", tlsstate.TLS13, 20, 1},
	{"address:192.0.2.1", tlsstate.TLS13, 20, 1}, {"domain:bank.example", tlsstate.TLS13, 20, 1},
	{"address:192.0.2.2", tlsstate.TLS12, 20, 1}, {"address:192.0.2.3", tlsstate.TLS13, 3, 1},
	{"address:192.0.2.4", tlsstate.TLS13, 230, 200}, {"address:192.0.2.5", tlsstate.Plaintext, 9, 1},
	{"address:192.0.2.6", tlsstate.TLS13, 30, 5}, {"address:192.0.2.6", tlsstate.Plaintext, 4, 1},
	{"address:192.0.2.7", tlsstate.Weak, 20, 1}, {"address:2001:db8::5", tlsstate.TLS13, 20, 1},
	{"address:198.51.100.7", tlsstate.TLS13, 20, 1}, {"address:203.0.113.7", tlsstate.TLS13, 20, 1},
	{"address:10.1.2.3", tlsstate.TLS13, 20, 1}, {"address:10.9.9.9", tlsstate.TLS13, 20, 1},
	{"domain:learning.example", tlsstate.TLS13, 3, 1}, {"domain:lapsed.example", tlsstate.TLS13, 230, 200},
	{"domain:plain.example", tlsstate.Plaintext, 9, 1}, {"domain:row.example", tlsstate.TLS13, 20, 1},
	{"domain:least.example", tlsstate.TLS12, 20, 1}, {"domain:exempt.example", tlsstate.TLS13, 20, 1},
	{"sender:bank.example/192.0.2.0/24", tlsstate.TLS13, 20, 1}, {"sender:partner.example/192.0.2.0/24", tlsstate.TLS13, 20, 1},
	{"sender:new.example/192.0.2.0/24", tlsstate.TLS13, 2, 1}, {"sender:plain.example/192.0.2.0/24", tlsstate.Plaintext, 9, 1},
	{"network:192.0.2.0/24", tlsstate.TLS13, 20, 1}, {"domain:forgotten.example", tlsstate.TLS13, 20, 1},
}

func agreeRows() []tlsstate.Row {
	action := func(a tlsstate.Action) *tlsstate.Action { return &a }
	return []tlsstate.Row{
		{Domain: "row.example", Subdomains: true, Action: action(tlsstate.Reject), Least: tlsstate.TLS12},
		{Domain: "least.example", Subdomains: true, Least: tlsstate.TLS13},
		{Domain: "exempt.example", Subdomains: true, Exempt: true},
		{Network: netip.MustParsePrefix("198.51.100.0/24"), Action: action(tlsstate.Observe)},
		{Network: netip.MustParsePrefix("203.0.113.0/24"), Exempt: true},
		{Network: netip.MustParsePrefix("10.9.0.0/16"), Action: action(tlsstate.Quarantine)},
		{Domain: "partner.example", Action: action(tlsstate.Observe)},
		{Sender: "partner.example", Least: tlsstate.TLS13, Action: action(tlsstate.Tempfail)},
		{Sender: "demanding.example", Least: tlsstate.TLS12},
	}
}

// TestAllAgree: for peers of all kinds, what explain states, what the page states and
// what a message comes to are the same, whatever the breaker's answer.
func TestAllAgree(t *testing.T) {
	memory := store.NewMemory(10_000)
	policy := tlsstate.DefaultPolicy()
	policy.Stripped, policy.Weakened = tlsstate.Tempfail, tlsstate.Quarantine
	for _, l := range lives {
		teach(t, memory, l, &policy)
	}
	forgotten := domain("forgotten.example")
	if _, err := memory.Update(forgotten, netip.Addr{}, today(), func(h tlsstate.History) tlsstate.History { return h.Forget(today()) }); err != nil {
		t.Fatal(err)
	}
	rules, err := tlsstate.NewRules(policy, agreeRows())
	if err != nil {
		t.Fatal(err)
	}
	rulesFor := func(tlsstate.Kind) *tlsstate.Rules { return rules }
	for _, answer := range []ratchet.Answer{ratchet.Armed, ratchet.Softened, ratchet.Suspended} {
		breaker := ratchet.NewBreaker(ratchet.BreakerOptions{Domains: 10, Window: 10 * time.Minute, PinDays: 7})
		breaker.Override(&answer)
		r := ratchet.New(ratchet.Options{Histories: memory, Rules: rules, Breaker: breaker, Senders: believer{}, Log: quietLog()})
		operator := (&admin.Local{Memory: memory, Rules: rulesFor, Now: func() time.Time { return noon }, Log: quietLog(), CircuitBreaker: breaker, Senders: believer{}}).Admin()
		p := emptyPage(t)
		p.Resolve, p.Load, p.Rules, p.Explain = admin.Resolve, memory.Load, rulesFor, r.Explain
		for _, c := range agreeClients() {
			t.Run(answer.String()+" "+c.asked+" "+c.from, func(t *testing.T) { c.agree(t, r, operator, p) })
		}
	}
}

func teach(t *testing.T, memory *store.Memory, l life, policy *tlsstate.Policy) {
	t.Helper()
	id, err := tlsstate.ParseIdentity(l.identity)
	if err != nil {
		t.Fatal(err)
	}
	for ago := l.from; ago >= l.to; ago-- {
		o := tlsstate.Observation{Day: today() - tlsstate.Day(ago), Security: tlsstate.Security{Level: l.level}}
		if _, err := memory.Update(id, netip.Addr{}, today(), func(h tlsstate.History) tlsstate.History {
			_, after := tlsstate.Judge(h, o, policy)
			return after
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// agreeClient is a peer as an operator names it, and a message of it.
type agreeClient struct {
	asked, addr, host, from string
	claims                  bool // from is asked for as well
}

// agreeClients have the address 192.0.2.200, of which nothing is known, where what is
// asked for says nothing of an address.
func agreeClients() (all []agreeClient) {
	for _, ip := range []string{
		"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.9", "2001:db8::5", "2001:db8::6",
		"198.51.100.7", "198.51.100.8", "203.0.113.7", "10.1.2.3", "10.9.9.9", "127.0.0.1",
	} {
		all = append(all, agreeClient{asked: "address:" + ip, addr: ip}, agreeClient{asked: "mx.bank.example[" + ip + "]", addr: ip, host: "mx.bank.example"})
	}
	for _, d := range []string{"bank", "learning", "lapsed", "plain", "row", "least", "exempt", "forgotten", "nobody"} {
		name := d + ".example"
		all = append(all, agreeClient{asked: name, addr: "192.0.2.200", host: name}, agreeClient{asked: "row:" + name, addr: "192.0.2.200", host: name})
	}
	for _, d := range []string{"bank", "partner", "new", "plain", "demanding", "nobody"} {
		name := d + ".example"
		all = append(all, agreeClient{asked: "sender:" + name + "/192.0.2.0/24", addr: "192.0.2.200", from: "alice@" + name})
	}
	for _, d := range []string{"bank", "partner", "new", "plain", "demanding", "nobody"} {
		for _, ip := range []string{"192.0.2.1", "192.0.2.5", "192.0.2.200"} {
			all = append(all, agreeClient{asked: ip, addr: ip, from: "alice@" + d + ".example", claims: true})
		}
	}
	return append(all, agreeClient{asked: "row:198.51.100.0/24", addr: "198.51.100.0"}, agreeClient{asked: "row:demanding.example", addr: "192.0.2.200", from: "a@demanding.example", host: "demanding.example"})
}

func (c agreeClient) agree(t *testing.T, r *ratchet.Ratchet, operator *admin.Admin, p status.Page) {
	for _, tls := range []string{"none", "TLSv1", "TLSv1.2", "TLSv1.3"} {
		d := c.decide(t, r, tls)
		q := admin.Question{Name: c.asked, TLS: tls}
		if c.claims {
			q.From = c.from
		}
		got, err := operator.Explain(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		kind := ""
		if d.Outcome == tlsstate.Downgraded {
			kind = d.Kind.String()
		}
		if got.Outcome != d.Outcome.String() || got.Kind != kind || got.Action != d.Action.String() {
			t.Errorf("%s: a message: %s %s %s, explain: %s %s %s\n%s", tls, d.Outcome, kind, d.Action, got.Outcome, got.Kind, got.Action, strings.Join(got.Rules, "\n"))
		}
		if tls == "none" && !c.claims {
			c.look(t, &got, p)
		}
	}
}

// decide returns what a message of the client comes to.
func (c agreeClient) decide(t *testing.T, r *ratchet.Ratchet, tls string) ratchet.Decision {
	t.Helper()
	f := ratchet.Facts{Client: peer.Client{Addr: c.addr, Name: c.host, DaemonPort: "25"}}
	if c.host != "" {
		f.Client.Resolve = "OK"
	}
	if tls != "none" {
		f.Version, f.Cipher = tls, "ECDHE-RSA-AES256-GCM-SHA384"
	}
	s, err := f.Session()
	if err != nil {
		t.Fatal(err)
	}
	s.At, s.From = noon, c.from
	return r.Decide(&s)
}

// look compares what is explained of a session in clear with the page, which knows
// one identity.
func (c agreeClient) look(t *testing.T, e *admin.Answer, p status.Page) {
	id, err := admin.Resolve(c.asked)
	if h, _ := p.Load(id); err != nil || h == (tlsstate.History{}) || strings.Contains(c.asked, "[") || strings.HasPrefix(c.asked, "row:") {
		return // it says that the peer is unknown, or is about less
	}
	_, body := get(t, serve(t, p), "/peer?name="+url.QueryEscape(c.asked))
	want := fmt.Sprintf("the action would be %s", e.Action)
	if e.Outcome != tlsstate.Downgraded.String() {
		want = "the verdict would be " + e.Outcome
	}
	if !strings.Contains(body, want) {
		t.Errorf("the page has no %q, as explain has:\n%s", want, strings.Join(e.Rules, "\n"))
	}
}
