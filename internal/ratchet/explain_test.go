package ratchet_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// silent fails where it is asked anything: explaining must not wait for DNS.
type silent struct{ t *testing.T }

func (n silent) Prove(context.Context, spf.Claim) spf.Result { n.t.Error("SPF was asked"); return 0 }
func (n silent) Tried(spf.Claim) bool                        { n.t.Error("SPF was asked"); return false }
func (n silent) Learn(spf.Claim, func()) bool                { n.t.Error("SPF was asked"); return false }

// kinds are the identities of an explanation.
func kinds(e ratchet.Explanation) string {
	var out []string
	for _, p := range e.Identities {
		out = append(out, p.Verdict.Identity.String())
	}
	return strings.Join(out, " ")
}

// TestExplainIsWhatDecideDoes: of each identity of a session, as far as it has
// them, with the states of its pins for that session.
func TestExplainIsWhatDecideDoes(t *testing.T) {
	f := newFixture(t)
	f.pin(t, bank)
	f.with(func(o *ratchet.Options) { o.Senders = silent{t} })
	s := fromBank(session(t, bank, day(6), tlsstate.Plaintext))
	e, err := f.Explain(s)
	if err != nil {
		t.Fatal(err)
	}
	if got := kinds(e); got != "address:192.0.2.10 domain:bank.example sender:bank.example/bank.example" {
		t.Errorf("identities %s", got)
	}
	if words(e.Decision) != "address downgrade stripped tempfail" {
		t.Errorf("decision %s", words(e.Decision))
	}
	address := &e.Identities[0]
	pin := address.History.Pin(tlsstate.TLS12)
	if len(address.Pins) != 2 || address.Pins[1] != tlsstate.PinHolds || pin.Formed != tlsstate.DayOf(day(5)) || pin.Met != tlsstate.DayOf(day(5)) {
		t.Errorf("pins %v, %+v", address.Pins, pin)
	}
}

// TestExplainWithoutAName: an address that DNS confirms no name of has no domain.
func TestExplainWithoutAName(t *testing.T) {
	f := newFixture(t)
	e, err := f.Explain(session(t, roaming("7"), day(6), tlsstate.TLS13))
	if got := kinds(e); err != nil || got != "address:192.0.2.7" {
		t.Errorf("identities %s, %v", got, err)
	}
	if n := len(e.Identities[0].Pins); n != 2 {
		t.Errorf("%d pins of an empty history, want the two that can form", n)
	}
}

// TestExplainRecalled: where the memory supplies the domain, the row of that is
// the policy that is shown.
func TestExplainRecalled(t *testing.T) {
	reject := tlsstate.Reject
	f := newFixture(t, tlsstate.Row{Domain: "bank.example", Subdomains: true, Least: tlsstate.TLS12, Action: &reject})
	f.pin(t, bank)
	nameless := bank
	nameless.Name, nameless.Resolve = "unknown", "FAIL"
	e, err := f.Explain(session(t, nameless, day(6), tlsstate.Plaintext))
	if err != nil || e.Decision.Action != tlsstate.Reject || e.Policy.Row != "bank.example" || e.Policy.Stripped != tlsstate.Reject {
		t.Errorf("%s by the row of %q, %s: %v", e.Decision.Action, e.Policy.Row, e.Policy.Stripped, err)
	}
}

// TestExplainAsksTheBreaker and does not count for it.
func TestExplainAsksTheBreaker(t *testing.T) {
	f := newBreakerFixture(t, tlsstate.Reject)
	f.pin(t, bank)
	f.check = check{false, day(6)}
	e, err := f.Explain(session(t, bank, day(6), tlsstate.Plaintext))
	if err != nil || e.Decision.Action != tlsstate.Reject || e.Decision.Breaker != ratchet.Armed {
		t.Errorf("before the first: %s, %s, %v", e.Decision.Action, e.Decision.Breaker, err)
	}
	f.strip(t, []peer.Client{bank}, day(6), 0)
	if e, err := f.Explain(session(t, bank, day(6), tlsstate.Plaintext)); err != nil || e.Decision.Action != tlsstate.Header || e.Decision.Breaker != ratchet.Suspended {
		t.Errorf("after it: %s, %s, %v", e.Decision.Action, e.Decision.Breaker, err)
	}
}

// TestExplainExempt: whoever is not judged has no parts, and a reason.
func TestExplainExempt(t *testing.T) {
	f := newFixture(t)
	s := session(t, bank, day(6), tlsstate.Plaintext)
	s.Authenticated = true
	e, err := f.Explain(s)
	if err != nil || e.Decision.Outcome != tlsstate.Exempt || !errors.Is(e.Decision.Reason, ratchet.ErrAuthenticated) || len(e.Identities) != 0 {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestExplainPins: the states are those for the session: what it meets holds,
// what it is below is released on its third day.
func TestExplainPins(t *testing.T) {
	f := newFixture(t)
	f.pin(t, bank)
	for n := 6; n <= 7; n++ {
		f.deliver(session(t, bank, day(n), tlsstate.Plaintext))
	}
	for level, want := range map[tlsstate.Level]string{tlsstate.Plaintext: "released released", tlsstate.Weak: "holds released", tlsstate.TLS12: "holds holds"} {
		e, err := f.Explain(session(t, bank, day(8), level))
		if err != nil {
			t.Fatal(err)
		}
		pins := e.Identities[0].Pins
		if got := pins[0].String() + " " + pins[1].String(); got != want {
			t.Errorf("%s: %s, want %s", level, got, want)
		}
	}
}

// TestExplainSender: its message comes from an address that nothing is known of. By a
// weakened one nobody is asked whether the sender is proven.
func TestExplainSender(t *testing.T) {
	f, n := newFixture(t), &notary{result: spf.Proven}
	f.with(func(o *ratchet.Options) { o.Senders = n })
	for i := 1; i <= 5; i++ {
		f.deliver(fromBank(session(t, roaming(fmt.Sprint(i)), day(i), tlsstate.TLS13)))
		for _, learn := range n.later {
			learn()
		}
		n.later = nil
	}
	const id = "bank.example/192.0.2.0/24"
	for level, want := range map[tlsstate.Level]string{
		tlsstate.Plaintext: "sender downgrade stripped header header", tlsstate.Weak: "sender new none observe observe", tlsstate.TLS13: "sender new none observe observe",
	} {
		s, err := ratchet.SessionOf(tlsstate.Identity{Kind: tlsstate.Sender, Name: id}, day(6), tlsstate.Security{Level: level})
		if err != nil {
			t.Fatal(err)
		}
		e, err := f.Explain(s)
		if got := words(e.Decision) + " " + e.Decision.Unlimited.String(); err != nil || got != want || e.Decision.Identity.Name != id {
			t.Errorf("%s: %s by %s, want %s: %v", level, got, e.Decision.Identity, want, err)
		}
		if len(e.Identities) != 1 || e.Identities[0].Verdict.Outcome == tlsstate.New {
			t.Errorf("%s: %s", level, kinds(e))
		}
	}
	n.asked = 0
	if got := words(f.Decide(fromBank(session(t, roaming("99"), day(6), tlsstate.Weak)))); got != "address new none observe" || n.asked != 0 {
		t.Errorf("weakened: %s, %d proofs", got, n.asked)
	}
}

func TestExplainFails(t *testing.T) {
	f := newFixture(t)
	f.memory.load = func(tlsstate.Identity) error { return fmt.Errorf("disk gone") }
	if _, err := f.Explain(session(t, bank, day(6), tlsstate.TLS13)); err == nil || err.Error() != "loading listener:25: disk gone" {
		t.Errorf("got %v", err)
	}
}

// TestSessionOf: a peer that is known by one identity.
func TestSessionOf(t *testing.T) {
	for text, want := range map[string]string{
		"address:192.0.2.10":               "address:192.0.2.10",
		"domain:bank.example":              "domain:bank.example",
		"sender:bank.example/bank.example": "sender:bank.example/bank.example",
		"address:bank":                     "bank is no address",
		"listener:25":                      "listener:25 is no peer",
	} {
		id, err := tlsstate.ParseIdentity(text)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ratchet.SessionOf(id, day(6), tlsstate.Security{Level: tlsstate.TLS12, Protocol: "TLSv1.2"})
		if err != nil {
			if err.Error() != want {
				t.Errorf("%s: %v, want %s", text, err, want)
			}
			continue
		}
		f := newFixture(t)
		e, err := f.Explain(s)
		if got := kinds(e); err != nil || got != want || s.Protocol != "TLSv1.2" || !s.At.Equal(day(6)) {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}
