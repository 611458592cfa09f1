package config_test

import (
	"net/netip"
	"testing"

	"tlsratchet/internal/config"
	"tlsratchet/tlsstate"
)

// TestWishesComeTrue: from the rows of a file to what happens to a peer's very
// first message.
func TestWishesComeTrue(t *testing.T) {
	rules := load(t, `
[policy]
stripped = "header"
weakened = "observe"
[[peer]]
domain = "bank.example"
subdomains = true
action = "tempfail"
least = "TLSv1.2"
[[peer]]
domain = "lab.bank.example"
exempt = true
[[peer]]
domain = "partner.example"
least = "TLSv1.3"
[[peer]]
network = "192.0.2.0/24"
action = "reject"
least = "weak"
`).Rules()
	for _, tc := range []struct {
		name, addr, host string
		level            tlsstate.Level
		outcome          tlsstate.Outcome
		action           tlsstate.Action
	}{
		{"a stranger in clear", "198.51.100.1", "mx.peer.example", tlsstate.Plaintext, tlsstate.New, tlsstate.Observe},
		{"no name, in clear", "198.51.100.1", "", tlsstate.Plaintext, tlsstate.New, tlsstate.Observe},
		{"the bank in clear", "198.51.100.1", "mx.bank.example", tlsstate.Plaintext, tlsstate.Downgraded, tlsstate.Tempfail},
		{"the bank, weak", "198.51.100.1", "bank.example", tlsstate.Weak, tlsstate.Downgraded, tlsstate.Tempfail},
		{"the bank as promised", "198.51.100.1", "bank.example", tlsstate.TLS12, tlsstate.New, tlsstate.Observe},
		{"its lab in clear", "198.51.100.1", "lab.bank.example", tlsstate.Plaintext, tlsstate.Exempt, tlsstate.Observe},
		{"below its lab", "198.51.100.1", "a.lab.bank.example", tlsstate.Plaintext, tlsstate.Downgraded, tlsstate.Tempfail},
		{"a partner in clear gets the policy's action", "198.51.100.1", "partner.example", tlsstate.Plaintext, tlsstate.Downgraded, tlsstate.Header},
		{"and for too little TLS too", "198.51.100.1", "partner.example", tlsstate.TLS12, tlsstate.Downgraded, tlsstate.Observe},
		{"a partner's subdomain is nobody", "198.51.100.1", "mx.partner.example", tlsstate.Plaintext, tlsstate.New, tlsstate.Observe},
		{"a network in clear", "192.0.2.7", "lab.bank.example", tlsstate.Plaintext, tlsstate.Downgraded, tlsstate.Reject},
		{"a network with any TLS", "192.0.2.7", "", tlsstate.Weak, tlsstate.New, tlsstate.Observe},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rule := rules.For(netip.MustParseAddr(tc.addr), tc.host)
			session := tlsstate.Observation{Day: 20_000, Security: tlsstate.Security{Level: tc.level}}
			first, _ := tlsstate.Judge(tlsstate.History{}, session, rule)
			v := tlsstate.Combine(&tlsstate.Verdicts{Address: first}, rule)
			if v.Outcome != tc.outcome || v.Action != tc.action {
				t.Errorf("%s, %s; want %s, %s", v.Outcome, v.Action, tc.outcome, tc.action)
			}
		})
	}
}

// TestDefaultsNeverRefuse: no action of a new installation is stronger than a
// header.
func TestDefaultsNeverRefuse(t *testing.T) {
	c, err := config.Load("", nil, config.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	rule := c.Rules().For(netip.MustParseAddr("198.51.100.1"), "peer.example")
	for _, kind := range []tlsstate.Downgrade{tlsstate.Stripped, tlsstate.Weakened, tlsstate.Unauthenticated} {
		if a := rule.Action(kind); a > tlsstate.Header {
			t.Errorf("%s leads to %s", kind, a)
		}
	}
}
