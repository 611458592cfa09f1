package tlsstate_test

import (
	"testing"

	. "tlsratchet/tlsstate"
)

// sketchOf is a sketch of which the estimate is n.
func sketchOf(n int) (s Sketch) {
	for i := 0; s.Estimate() < n; i++ {
		s |= 1 << i
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
	broad.Networks, broad.Addresses = sketchOf(3), sketchOf(20)
	twoNetworks, fewer, partly := broad, broad, broad
	twoNetworks.Networks, fewer.Addresses = sketchOf(2), sketchOf(18)
	partly.Bare = sketchOf(1)
	pool, fewHosts, partlyPool := held, held, held
	pool.Addresses, fewHosts.Addresses = sketchOf(8), sketchOf(7)
	partlyPool.Addresses, partlyPool.Bare = sketchOf(8), sketchOf(1)
	oneInTen := held
	oneInTen.Addresses, oneInTen.Bare = sketchOf(10), sketchOf(1)
	customers, twoStay, someMove, moreMove := pool, pool, broad, broad
	customers.Senders, twoStay.Senders = 7, 3
	someMove.Senders, moreMove.Senders = 8<<32|7, 3<<32|63 // three stay for one that moves; four for two
	named, unnamed := held, held
	named.Named, named.Addresses = sketchOf(3), sketchOf(3)
	unnamed.Named, unnamed.Addresses = sketchOf(3), sketchOf(4)
	nearlyNamed := held
	nearlyNamed.Named, nearlyNamed.Addresses = sketchOf(9), sketchOf(10)
	uncounted := held // a thousand addresses, of which six hundred are named
	uncounted.Named, uncounted.Addresses = ^Sketch(0), ^Sketch(0)
	moved, otherName, manyNames := held, held, held
	moved.HostNames, otherName.HostNames, manyNames.HostNames = 3, 5, sketchOf(9)
	var learned, lapse, plain History
	_, learned = Judge(learned, Observation{Day: dayZero + 5, Security: Security{Level: TLS12}}, &rule)
	_, lapse = Judge(learned, Observation{Day: dayZero + 4, Security: Security{Level: Weak}}, &rule)
	lapses := learned
	for d := Day(1); d <= 4; d++ {
		_, lapses = Judge(lapses, Observation{Day: dayZero + d}, &rule)
	}
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
		hosts                   bool
	}{
		{"the address speaks first", &rule, held, broad, held, Plaintext, "address downgrade stripped reject", false},
		{"each kind has its action", &rule, held, broad, held, Weak, "address downgrade weakened tempfail", false},
		{"a broad domain speaks for an unseen address", &rule, History{}, broad, held, Plaintext, "domain downgrade stripped reject", false},
		{"a narrow one marks", &rule, History{}, held, History{}, Plaintext, "domain downgrade stripped header", false},
		{"many addresses in two networks are narrow", &rule, History{}, twoNetworks, History{}, Plaintext, "domain downgrade stripped header", false},
		{"so are fewer addresses", &rule, History{}, fewer, History{}, Plaintext, "domain downgrade stripped header", false},
		{"and those of which one in twenty is bare", &rule, History{}, partly, History{}, Plaintext, "domain downgrade stripped header", false},
		{"hosts of a pool in its network speak for it", &rule, History{}, pool, History{}, Plaintext, "domain downgrade stripped reject", true},
		{"those of a few hosts don't", &rule, History{}, fewHosts, History{}, Plaintext, "domain downgrade stripped header", true},
		{"nor those of a partly encrypted pool", &rule, History{}, partlyPool, History{}, Plaintext, "domain downgrade stripped header", true},
		{"nor those of one of which a tenth is bare", &rule, History{}, oneInTen, History{}, Plaintext, "domain downgrade stripped header", true},
		{"nor where senders keep to an address each", &rule, History{}, customers, History{}, Plaintext, "domain downgrade stripped header", true},
		{"of two that may be chance", &rule, History{}, twoStay, History{}, Plaintext, "domain downgrade stripped reject", true},
		{"nor many addresses, where hardly any sender moves", &rule, History{}, someMove, History{}, Plaintext, "domain downgrade stripped header", false},
		{"they do where a third of the senders move", &rule, History{}, moreMove, History{}, Plaintext, "domain downgrade stripped reject", false},
		{"nor a pool elsewhere", &rule, History{}, pool, History{}, Plaintext, "domain downgrade stripped header", false},
		{"a host of its name came with TLS", &rule, History{}, moved, History{}, Plaintext, "domain downgrade stripped reject", false},
		{"one of another name did", &rule, History{}, otherName, History{}, Plaintext, "domain downgrade stripped header", false},
		{"it may be one of too many names", &rule, History{}, manyNames, History{}, Plaintext, "domain downgrade stripped header", false},
		{"known plaintext under a name with TLS", &rule, plain, moved, History{}, Plaintext, "domain downgrade stripped header", false},
		{"SPF names the hosts", &rule, History{}, named, History{}, Plaintext, "domain downgrade stripped reject", false},
		{"all but one in ten", &rule, History{}, nearlyNamed, History{}, Plaintext, "domain downgrade stripped reject", false},
		{"so many that nobody knows how many it leaves out", &rule, History{}, uncounted, History{}, Plaintext, "domain downgrade stripped header", false},
		{"or leaves some out", &rule, History{}, unnamed, History{}, Plaintext, "domain downgrade stripped header", false},
		{"always", &always, History{}, held, History{}, Plaintext, "domain downgrade stripped reject", false},
		{"never", &never, History{}, broad, History{}, Plaintext, "domain downgrade stripped header", true},
		{"known plaintext behind a broad domain", &rule, plain, broad, History{}, Plaintext, "domain downgrade stripped header", true},
		{"one with too little TLS of its own for a pin", &rule, learned, broad, History{}, Plaintext, "domain downgrade stripped reject", false},
		{"behind a narrow domain too", &rule, learned, held, History{}, Plaintext, "domain downgrade stripped reject", false},
		{"never, with TLS of its own", &never, learned, broad, History{}, Plaintext, "domain downgrade stripped header", false},
		{"and its retry, now that the first try is remembered", &rule, again, held, History{}, Plaintext, "domain downgrade stripped reject", false},
		{"until the third day in clear", &rule, gone, held, History{}, Plaintext, "domain downgrade stripped header", false},
		{"one that fell below the domain's pin once", &rule, lapse, held, History{}, Plaintext, "domain downgrade stripped reject", false},
		{"one that fell below it on four days", &rule, lapses, broad, History{}, Plaintext, "domain downgrade stripped header", false},
		{"one that was released speaks for itself", &rule, released, broad, History{}, Plaintext, "address learning none observe", false},
		{"the sender speaks last, and softly", &rule, History{}, History{}, held, Plaintext, "sender downgrade stripped header", false},
		{"a row of the config lifts the cap", &peer, History{}, held, History{}, Plaintext, "domain downgrade stripped reject", false},
		{"a row lifts the sender's", &peer, History{}, History{}, held, Plaintext, "sender downgrade stripped reject", false},
		{"exempt", &exempt, held, broad, held, Plaintext, "address exempt none observe", false},
		{"all is well", &rule, held, broad, held, TLS12, "address steady none observe", false},
		{"a known domain outweighs a new address", &rule, History{}, broad, History{}, TLS12, "domain steady none observe", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Observation{Day: dayZero + 8, Security: Security{Level: tt.level}}
			judge := func(k Kind, h History) Verdict {
				v, _ := Judge(h, o, tt.rule)
				v.Identity = Identity{k, "x"}
				return v
			}
			v := Combine(&Verdicts{Address: judge(Address, tt.address), Domain: judge(Domain, tt.domain), Sender: judge(Sender, tt.sender), Hosts: tt.hosts, HostName: 3}, tt.rule)
			got := v.Identity.Kind.String() + " " + v.Outcome.String() + " " + v.Kind.String() + " " + v.Action.String()
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if known := tt.address == plain || tt.address == gone || tt.address == lapses; v.KnownPlaintext != known {
				t.Errorf("KnownPlaintext is %t, want %t", v.KnownPlaintext, known)
			}
		})
	}
}

// A domain that is pinned higher speaks for an address whose own pin is met.
func TestDomainPinnedHigher(t *testing.T) {
	rule := DefaultPolicy()
	rule.PinUpTo = TLS13
	address := seen(History{}, &rule, TLS12, 1, 2, 3, 4, 5)
	domain := seen(History{}, &rule, TLS13, 1, 2, 3, 4, 5)
	o := Observation{Day: dayZero + 6, Security: Security{Level: TLS12}}
	var vs Verdicts
	vs.Address, _ = Judge(address, o, &rule)
	vs.Domain, _ = Judge(domain, o, &rule)
	vs.Address.Identity, vs.Domain.Identity = Identity{Address, "x"}, Identity{Domain, "y"}
	if v := Combine(&vs, &rule); v.Kind != Weakened || v.Identity.Kind != Domain || v.Action != Header {
		t.Errorf("%s %s %s", v.Identity, v.Kind, v.Action)
	}
}

// TestItself: what an address with too little TLS for a pin was seen to do
// speaks for it as long as a pin would, at each level.
func TestItself(t *testing.T) {
	rule := DefaultPolicy()
	rule.Stripped, rule.Weakened = Tempfail, Tempfail
	for _, tt := range []struct {
		level Level
		after Day
		want  Support
	}{
		{TLS12, 1, SupportItself}, {TLS12, 180, SupportItself}, {TLS12, 181, NoSupport}, {Weak, 1, SupportItself},
	} {
		domain := seen(History{}, &rule, tt.level, 1, 2, 3, 4, 5)
		domain = seen(domain, &rule, tt.level, 5+tt.after-1)
		address := seen(History{}, &rule, tt.level, 5)
		o := Observation{Day: dayZero + 5 + tt.after}
		var vs Verdicts
		vs.Address, _ = Judge(address, o, &rule)
		vs.Domain, _ = Judge(domain, o, &rule)
		vs.Domain.Identity = Identity{Domain, "y"}
		if v := Combine(&vs, &rule); v.Support != tt.want || v.Outcome != Downgraded {
			t.Errorf("%s %d days ago: %s by %s", tt.level, tt.after, v.Outcome, v.Support)
		}
	}
}

// Without an identity there is nobody who speaks.
func TestCombineNothing(t *testing.T) {
	rule := DefaultPolicy()
	if v := Combine(&Verdicts{}, &rule); v.Outcome != Unknown || v.Action != Observe {
		t.Errorf("got %+v", v)
	}
}
