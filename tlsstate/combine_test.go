package tlsstate_test

import (
	"testing"

	. "tlsratchet/tlsstate"
)

// sketchOf marks n things.
func sketchOf(n int) (s Sketch) {
	for i := range n {
		s |= Mark([]byte{byte(i), 'x'})
	}
	return s
}

func TestCombine(t *testing.T) {
	rule := DefaultPolicy()
	rule.Stripped, rule.Weakened = Reject, Tempfail
	always, never, peer := rule, rule, rule
	always.DomainEnforce, never.DomainEnforce = EnforceAlways, EnforceNever
	peer.Peer = true
	exempt := rule
	exempt.Exempt = true

	held := pinned(&rule)
	broad := held
	broad.Networks, broad.Addresses = sketchOf(4), sketchOf(12)
	oneNetwork := broad
	oneNetwork.Networks = sketchOf(1)
	var learned, lapse, plain History
	_, learned = Judge(learned, Observation{Day: dayZero + 5, Security: Security{Level: TLS12}}, &rule)
	_, lapse = Judge(learned, Observation{Day: dayZero + 4, Security: Security{Level: Weak}}, &rule)
	_, again := Judge(learned, Observation{Day: dayZero + 8}, &rule)
	gone := again
	for d := Day(6); d <= 7; d++ {
		_, gone = Judge(gone, Observation{Day: dayZero + d}, &rule)
	}
	for d := Day(1); d <= 3; d++ {
		_, plain = Judge(plain, Observation{Day: dayZero + d}, &rule)
	}
	released := held
	for d := Day(6); d <= 8; d++ {
		_, released = Judge(released, Observation{Day: dayZero + d}, &rule)
	}

	for _, tt := range []struct {
		name                    string
		rule                    *Policy
		address, domain, sender History
		level                   Level
		want                    string
	}{
		{"the address speaks first", &rule, held, broad, held, Plaintext, "address downgrade stripped reject"},
		{"each kind has its action", &rule, held, broad, held, Weak, "address downgrade weakened tempfail"},
		{"a broad domain speaks for an unseen address", &rule, History{}, broad, held, Plaintext, "domain downgrade stripped reject"},
		{"a narrow one marks", &rule, History{}, held, History{}, Plaintext, "domain downgrade stripped header"},
		{"many addresses in one network are narrow", &rule, History{}, oneNetwork, History{}, Plaintext, "domain downgrade stripped header"},
		{"always", &always, History{}, held, History{}, Plaintext, "domain downgrade stripped reject"},
		{"never", &never, History{}, broad, History{}, Plaintext, "domain downgrade stripped header"},
		{"known plaintext behind a broad domain", &rule, plain, broad, History{}, Plaintext, "domain downgrade stripped header"},
		{"one with too little TLS of its own for a pin", &rule, learned, broad, History{}, Plaintext, "domain downgrade stripped reject"},
		{"behind a narrow domain too", &rule, learned, held, History{}, Plaintext, "domain downgrade stripped reject"},
		{"never, with TLS of its own", &never, learned, broad, History{}, Plaintext, "domain downgrade stripped header"},
		{"and its retry, now that the first try is remembered", &rule, again, held, History{}, Plaintext, "domain downgrade stripped reject"},
		{"until the third day in clear", &rule, gone, held, History{}, Plaintext, "address learning none observe"},
		{"one that fell below the domain's pin speaks for itself", &rule, lapse, broad, History{}, Plaintext, "address learning none observe"},
		{"so does one that was released", &rule, released, broad, History{}, Plaintext, "address learning none observe"},
		{"the sender speaks last, and softly", &rule, History{}, History{}, held, Plaintext, "sender downgrade stripped header"},
		{"a row of the config lifts the cap", &peer, History{}, held, History{}, Plaintext, "domain downgrade stripped reject"},
		{"a row lifts the sender's", &peer, History{}, History{}, held, Plaintext, "sender downgrade stripped reject"},
		{"exempt", &exempt, held, broad, held, Plaintext, "address exempt none observe"},
		{"all is well", &rule, held, broad, held, TLS12, "address steady none observe"},
		{"a known domain tells more than a new address", &rule, History{}, broad, History{}, TLS12, "domain steady none observe"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Observation{Day: dayZero + 8, Security: Security{Level: tt.level}}
			judge := func(k Kind, h History) Verdict {
				v, _ := Judge(h, o, tt.rule)
				v.Identity = Identity{k, "x"}
				return v
			}
			v := Combine(&Verdicts{judge(Address, tt.address), judge(Domain, tt.domain), judge(Sender, tt.sender)}, tt.rule)
			got := v.Identity.Kind.String() + " " + v.Outcome.String() + " " + v.Kind.String() + " " + v.Action.String()
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if known := tt.address == plain; v.KnownPlaintext() != known {
				t.Errorf("KnownPlaintext is %t, want %t", v.KnownPlaintext(), known)
			}
		})
	}
}

// Without an identity there is nobody who speaks.
func TestCombineNothing(t *testing.T) {
	rule := DefaultPolicy()
	if v := Combine(&Verdicts{}, &rule); v.Outcome != Unknown || v.Action != Observe {
		t.Errorf("got %+v", v)
	}
}
