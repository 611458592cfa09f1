package ratchet_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// These are ways round a pin that somebody on the path tried. None may work.

// host is one address of a pool of providers: four networks, one domain.
func host(n int) peer.Client {
	c := bank
	c.Addr, c.Name = fmt.Sprintf("203.0.%d.%d", 113+n%4, 1+n), fmt.Sprintf("out%d.pool.example", n)
	return c
}

// newPool is a fixture that has seen 25 hosts of a pool for ten days, one or two
// days each, so that only the domain has a pin.
func newPool(t testing.TB, rows ...tlsstate.Row) fixture {
	f := newFixture(t, rows...)
	for n := range 25 {
		f.deliver(session(t, host(n), day(1+n%10), tlsstate.TLS13))
	}
	return f
}

// strip has one message in clear of a client, and wants its action.
func (f fixture) strip(t testing.TB, name string, c peer.Client, at time.Time, want tlsstate.Action) ratchet.Decision {
	t.Helper()
	d := f.deliver(session(t, c, at, tlsstate.Plaintext))
	if d.Action != want {
		t.Errorf("%s: %s by %s (%s), want %s", name, d.Action, d.Identity, d.Support, want)
	}
	return d
}

// A new address of a pool is refused by what its network, and by what all of the
// domain's addresses say.
func TestNewAddressOfAPool(t *testing.T) {
	f := newPool(t)
	neighbour := host(30)
	if d := f.strip(t, "in a network of the pool", neighbour, day(11), tlsstate.Tempfail); d.Support != tlsstate.SupportNetwork {
		t.Errorf("by %s", d.Support)
	}
	far := host(31)
	far.Addr = "198.18.0.9"
	if d := f.strip(t, "in a network of its own", far, day(11), tlsstate.Tempfail); d.Support != tlsstate.SupportAddresses {
		t.Errorf("by %s", d.Support)
	}
}

// In a network of several domains, as hosting companies have them, the number of
// a domain's addresses says nothing of the next one there.
func TestNewAddressBesideOthers(t *testing.T) {
	f := newPool(t)
	other := host(60)
	other.Name = "mx.other.example"
	f.deliver(session(t, other, day(11), tlsstate.TLS13))
	f.strip(t, "beside another domain", host(64), day(11), tlsstate.Header)
	f.strip(t, "in the next network", host(65), day(11), tlsstate.Tempfail)
}

// What a network says counts for a weakened session as for one in clear.
func TestWeakenedBesideOthers(t *testing.T) {
	f := newPool(t)
	other := host(60)
	other.Name = "mx.other.example"
	f.deliver(session(t, other, day(11), tlsstate.TLS13))
	for at, want := range map[int]tlsstate.Action{64: tlsstate.Header, 65: tlsstate.Tempfail} {
		if d := f.Decide(session(t, host(at), day(11), tlsstate.Weak)); d.Action != want || d.Kind != tlsstate.Weakened {
			t.Errorf("host %d: %s, %s", at, words(d), d.Support)
		}
	}
}

// A name that DNS last confirmed longer ago than a pin holds is the former
// owner's: the address may have changed hands.
func TestOldNameIsForgotten(t *testing.T) {
	for _, tt := range []struct {
		after int
		addr  string
		want  tlsstate.Kind
	}{
		{180, bank.Addr, tlsstate.Domain},
		{181, bank.Addr, tlsstate.Address},
		{180, "192.0.2.77", tlsstate.Domain},
		{181, "192.0.2.77", tlsstate.Address},
	} {
		f := newFixture(t)
		f.pin(t, bank)
		moved := bank
		moved.Addr = "203.0.113.7"
		for n := 6; n <= 5+tt.after; n += 10 {
			f.deliver(session(t, moved, day(n), tlsstate.TLS13))
		}
		unnamed := bank
		unnamed.Addr, unnamed.Name, unnamed.Resolve = tt.addr, "unknown", "FAIL"
		d := f.Decide(session(t, unnamed, day(5+tt.after), tlsstate.Plaintext))
		if tt.after == 180 && tt.addr == bank.Addr {
			tt.want = tlsstate.Address // its own pin holds still
		}
		if d.Identity.Kind != tt.want {
			t.Errorf("%s after %d days: %s", tt.addr, tt.after, words(d))
		}
	}
}

// A server that moves to another address keeps its name: the domain's pin holds
// there too. It says nothing of another host's.
func TestServerThatMoves(t *testing.T) {
	f := newFixture(t)
	f.pin(t, bank)
	moved := bank
	moved.Addr = "198.18.7.7"
	if d := f.strip(t, "the same name at a new address", moved, day(6), tlsstate.Tempfail); d.Support != tlsstate.SupportHostName {
		t.Errorf("by %s", d.Support)
	}
	moved.Name = "new.bank.example"
	f.strip(t, "another name at a new address", moved, day(6), tlsstate.Header)
	moved.Addr, moved.Name, moved.Resolve = "198.18.9.7", bank.Name, "FAIL"
	f.strip(t, "the same name, not confirmed", moved, day(6), tlsstate.Observe)
}

// A hoster's customers are no pool: those in clear are none of the others'
// business.
func TestHostersCustomers(t *testing.T) {
	f := newFixture(t)
	customer := func(n int) peer.Client {
		c := bank
		c.Addr, c.Name = fmt.Sprintf("203.0.%d.%d", 100+n, 10+n), fmt.Sprintf("vm%d.hoster.example", n)
		return c
	}
	for n := range 12 {
		f.pin(t, customer(n))
	}
	f.strip(t, "the thirteenth", customer(12), day(6), tlsstate.Header)
}

// Hundreds of customers who encrypt look like a pool, but for their senders: each
// keeps to its address. Those of a pool move, and some that have an address to
// themselves change nothing.
func TestSendersOfAPool(t *testing.T) {
	for _, tt := range []struct {
		name       string
		stay, move int
		sender     string
		result     spf.Result
		want       tlsstate.Action
	}{
		{"customers", 6, 0, "customer%d.example", spf.Proven, tlsstate.Header},
		{"too few to say", 2, 0, "customer%d.example", spf.Proven, tlsstate.Tempfail},
		{"a pool", 0, 6, "customer%d.example", spf.Proven, tlsstate.Tempfail},
		{"a pool with addresses for some", 3, 3, "customer%d.example", spf.Proven, tlsstate.Tempfail},
		{"not proven", 6, 0, "customer%d.example", spf.NotPassed, tlsstate.Tempfail},
		{"in the domain's own names", 6, 0, "host%d.pool.example", spf.Proven, tlsstate.Tempfail},
	} {
		f, n := newPool(t), &notary{result: tt.result}
		f.with(func(o *ratchet.Options) { o.Senders = n })
		for i := range tt.stay + tt.move {
			for d := range 2 {
				c := host(i)
				if i >= tt.stay {
					c = host(10 + i + d)
				}
				s := session(t, c, day(11+d), tlsstate.TLS13)
				s.From = "news@" + fmt.Sprintf(tt.sender, i)
				f.deliver(s)
				for _, learn := range n.later {
					learn()
				}
				n.later = nil
			}
		}
		f.strip(t, tt.name+": in a network of it", host(40), day(13), tt.want)
		far := host(41)
		far.Addr = "198.18.0.9"
		f.strip(t, tt.name+": elsewhere", far, day(13), tt.want)
	}
}

// One stripped message on each of six days silences nobody.
func TestSixMessagesBuyNoSilence(t *testing.T) {
	f := newPool(t)
	for n := range 8 {
		at := day(11 + n)
		f.deliver(session(t, host(n), at, tlsstate.TLS13))
		f.strip(t, fmt.Sprintf("day %d", n), host(40+n), at.Add(time.Hour), tlsstate.Tempfail)
	}
}

// One host of a hundred that never encrypts does not unseat its domain, and is
// known for that on the third day.
func TestOneBareHost(t *testing.T) {
	f := newPool(t)
	bare := host(50)
	for n := range 12 {
		at, want := day(11+n), tlsstate.Tempfail
		f.deliver(session(t, host(n), at, tlsstate.TLS13))
		if n >= 3 {
			want = tlsstate.Header
		}
		f.strip(t, fmt.Sprintf("the bare host, day %d", n), bare, at, want)
	}
	f.strip(t, "another one", host(48), day(23), tlsstate.Tempfail)
}

// Where a tenth of the addresses come in clear, the domain is only partly
// encrypted.
func TestPartlyEncryptedDomain(t *testing.T) {
	f := newPool(t)
	for n := range 8 {
		at := day(11 + n)
		f.deliver(session(t, host(n), at, tlsstate.TLS13))
		for b := range 6 {
			f.deliver(session(t, host(50+b), at, tlsstate.Plaintext))
		}
	}
	if d := f.deliver(session(t, host(58), day(19), tlsstate.Plaintext)); d.Outcome == tlsstate.Downgraded {
		t.Errorf("%s", words(d))
	}
}

// Sessions of a day are judged alike in any order: an address with too little
// TLS for a pin, under a pinned domain.
func TestAnyOrderOfADay(t *testing.T) {
	for _, order := range []string{"TCC", "CTC", "CCT", "TCTC", "CTCT", "TTCC", "C", "TC"} {
		for known := range 6 {
			f := newPool(t)
			c := host(60)
			for n := range known {
				f.deliver(session(t, c, day(11+n), tlsstate.TLS13))
			}
			for i, what := range order {
				at := day(20).Add(time.Duration(i) * time.Minute)
				if what == 'T' {
					f.deliver(session(t, c, at, tlsstate.TLS13))
				} else {
					f.strip(t, fmt.Sprintf("%s after %d days, session %d", order, known, i), c, at, tlsstate.Tempfail)
				}
			}
		}
	}
}

// nameless is a client while somebody breaks our DNS.
func nameless(c peer.Client) peer.Client {
	c.Name, c.Resolve = "unknown", "TEMP"
	return c
}

// Whoever strips can break our DNS too: the memory of the address, and of its
// network, supplies the domain, and the rows of the config that are for it.
func TestBrokenDNS(t *testing.T) {
	f := newPool(t)
	f.strip(t, "seen once", nameless(host(3)), day(11), tlsstate.Tempfail)
	d := f.strip(t, "never seen", nameless(host(33)), day(11), tlsstate.Tempfail)
	if !d.Recalled || d.Identity.Name != "pool.example" {
		t.Errorf("%s, recalled %t", d.Identity, d.Recalled)
	}
	if h, _ := f.memory.Load(tlsstate.Identity{Kind: tlsstate.Domain, Name: "pool.example"}); h.Seen[tlsstate.Plaintext] != 0 {
		t.Error("a name that nothing proved taught the domain")
	}
	stranger := nameless(bank)
	stranger.Addr = "198.18.7.7"
	if d := f.deliver(session(t, stranger, day(11), tlsstate.Plaintext)); d.Outcome == tlsstate.Downgraded {
		t.Errorf("a stranger elsewhere: %s", words(d))
	}
	other := host(34)
	other.Name = "mx.other.example"
	f.deliver(session(t, other, day(11), tlsstate.TLS13))
	same := nameless(host(38)) // in the network of 34, where two domains were seen now
	if d := f.deliver(session(t, same, day(11), tlsstate.Plaintext)); d.Outcome == tlsstate.Downgraded {
		t.Errorf("where two domains were seen: %s", words(d))
	}

	f = newFixture(t, tlsstate.Row{Domain: "bank.example", Subdomains: true, Least: tlsstate.TLS12, Action: ptr(tlsstate.Reject)})
	f.deliver(session(t, bank, day(1), tlsstate.TLS13))
	f.strip(t, "a row, by the name that the address had", nameless(bank), day(2), tlsstate.Reject)
	neighbour := nameless(bank)
	neighbour.Addr = "192.0.2.77"
	f.strip(t, "a row, by the one domain of the network", neighbour, day(2), tlsstate.Reject)
}

// Who forges answers of DNS has another name confirmed: then an address speaks by its
// own pin alone. Where he only breaks it, the memory has the name.
func TestForgedDNS(t *testing.T) {
	f := newFixture(t)
	f.pin(t, bank)
	young := bank
	young.Addr = "203.0.113.20"
	for n := 2; n <= 5; n++ {
		f.deliver(session(t, young, day(n), tlsstate.TLS13))
	}
	for _, tt := range []struct {
		name  string
		c     peer.Client
		want  tlsstate.Action
		forge func(peer.Client) peer.Client
	}{
		{"broken, four days of TLS", young, tlsstate.Tempfail, nameless},
		{"forged, four days of TLS", young, tlsstate.Observe, forged},
		{"forged, a pin of its own", bank, tlsstate.Tempfail, forged},
	} {
		if d := f.Decide(session(t, tt.forge(tt.c), day(6), tlsstate.Plaintext)); d.Action != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, words(d), tt.want)
		}
	}
}

func forged(c peer.Client) peer.Client {
	c.Name = "mx.evil.example"
	return c
}

// Whoever rents a host beside a peer without TLS and without a confirmed name, and is
// the one domain that is known there, has his pin speak for that peer: nothing is
// refused for good by it, and after three days the peer is known for plaintext.
func TestOnlyDomainOfANetwork(t *testing.T) {
	f := newFixture(t)
	reject := tlsstate.DefaultPolicy()
	reject.Stripped = tlsstate.Reject
	rules, err := tlsstate.NewRules(reject, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.SetRules(rules)
	for n := range 9 {
		c := bank
		c.Addr, c.Name = fmt.Sprintf("198.18.%d.9", n), fmt.Sprintf("h%d.evil.example", n)
		if n == 0 {
			c.Addr = "192.0.2.66"
		}
		f.pin(t, c)
	}
	friend := nameless(bank)
	friend.Addr = "192.0.2.99"
	for n, want := range []tlsstate.Action{tlsstate.Tempfail, tlsstate.Tempfail, tlsstate.Tempfail, tlsstate.Header} {
		f.strip(t, fmt.Sprintf("day %d of the peer beside him", n+1), friend, day(11+n), want)
	}
	known := bank
	known.Addr, known.Name = "192.0.2.98", "h10.evil.example"
	f.strip(t, "a name that DNS confirms", known, day(11), tlsstate.Reject)
}

// An IPv6 neighbour neither wears a pin out nor earns one for others.
func TestNeighboursInASlash64(t *testing.T) {
	f := newFixture(t)
	victim, neighbour := bank, bank
	victim.Addr = "IPv6:2001:db8:1:2::25"
	neighbour.Addr, neighbour.Name = "IPv6:2001:db8:1:2::26", "vm.other.example"
	f.pin(t, victim)
	for n := range 8 {
		if d := f.deliver(session(t, neighbour, day(6+n), tlsstate.Plaintext)); d.Action > tlsstate.Observe {
			t.Errorf("the neighbour, day %d: %s", n, words(d))
		}
	}
	f.strip(t, "the victim", victim, day(14), tlsstate.Tempfail)
}

// A clock that is half a year ahead lets no pin lapse, and one that goes back
// contests none.
func TestClockIsNoWayRound(t *testing.T) {
	f := newFixture(t)
	f.pin(t, bank)
	f.strip(t, "half a year ahead", bank, day(190), tlsstate.Tempfail)
	f.deliver(session(t, bank, day(3), tlsstate.Plaintext)) // the clock went back
	f.strip(t, "after a jump back", bank, day(6), tlsstate.Tempfail)
}

// The pin on a certificate is on that certificate, not on any trusted one.
func TestAnotherCertificate(t *testing.T) {
	f := newFixture(t)
	with := func(n int, subject string) *ratchet.Session {
		s := session(t, bank, day(n), tlsstate.TLS13)
		s.Certificate, s.CertMark = subject != "", tlsstate.CertificateMark("CN=CA", subject)
		return s
	}
	for n := 1; n <= 5; n++ {
		f.deliver(with(n, "bank.example"))
	}
	if got := words(f.deliver(with(6, "attacker.example"))); got != "address downgrade unauthenticated observe" {
		t.Errorf("another one: %s", got)
	}
	if got := words(f.deliver(with(6, "bank.example"))); !strings.Contains(got, "steady") {
		t.Errorf("its own: %s", got)
	}
	for n := 7; n <= 9; n++ {
		f.deliver(with(n, "renamed.example"))
	}
	for n := 10; n <= 13; n++ {
		f.deliver(with(n, "renamed.example"))
	}
	if got := words(f.deliver(with(14, "bank.example"))); got != "address downgrade unauthenticated observe" {
		t.Errorf("the old one, once the new one is pinned: %s", got)
	}
}

// What SPF names is learned of each new address with TLS, and speaks for the
// next one.
func TestHostsNamedBySPF(t *testing.T) {
	f := newFixture(t)
	n := &notary{result: spf.Proven}
	f.with(func(o *ratchet.Options) { o.Senders = n })
	f.pin(t, bank)
	hosts := []peer.Client{bank, bank, bank}
	for h := 1; h < 3; h++ {
		hosts[h].Addr = fmt.Sprintf("203.0.%d.7", 112+h)
		f.deliver(session(t, hosts[h], day(5), tlsstate.TLS13))
	}
	// DNS answers none of them. On their next days each is proven, and then no more.
	proofs := func(d, want int) {
		t.Helper()
		n.later = nil
		for _, c := range hosts {
			f.deliver(session(t, c, day(d), tlsstate.TLS13))
		}
		if len(n.later) != want {
			t.Errorf("%d proofs on day %d, want %d", len(n.later), d, want)
		}
	}
	n.result = spf.NoAnswer // tried a moment ago
	proofs(6, 0)
	n.result = spf.Proven
	proofs(7, 3)
	fresh := bank
	fresh.Addr, fresh.Name = "198.18.7.7", "mx9.bank.example"
	f.strip(t, "before", fresh, day(7), tlsstate.Header)
	if len(n.later) != 3 {
		t.Error("a session in clear is looked up")
	}
	for _, learn := range n.later {
		learn()
	}
	if d := f.strip(t, "after", fresh, day(7), tlsstate.Tempfail); d.Support != tlsstate.SupportSPF {
		t.Errorf("by %s", d.Support)
	}
	proofs(8, 0)
}

// Of a young domain SPF is asked while its session in clear waits. Nobody waits
// where no more would follow of it.
func TestYoungDomain(t *testing.T) {
	mild, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		result spf.Result
		change func(*peer.Client, *ratchet.Options)
		want   tlsstate.Action
		asked  int
	}{
		{"named", spf.Proven, nil, tlsstate.Tempfail, 1},
		{"not named", spf.Wide, nil, tlsstate.Header, 0}, // tried before
		{"its name not confirmed", spf.Proven, func(c *peer.Client, _ *ratchet.Options) { c.Resolve = "FAIL" }, tlsstate.Header, 0},
		{"its host known", spf.Proven, func(c *peer.Client, _ *ratchet.Options) { c.Name = bank.Name }, tlsstate.Tempfail, 0},
		{"the header is all that is wanted", spf.Proven, func(_ *peer.Client, o *ratchet.Options) { o.Rules = mild }, tlsstate.Header, 0},
		{"without SPF", spf.Proven, func(_ *peer.Client, o *ratchet.Options) { o.Senders = nil }, tlsstate.Header, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, n := newFixture(t), &notary{result: tt.result}
			f.pin(t, bank)
			fresh := bank
			fresh.Addr, fresh.Name = "192.0.2.77", "mx9.bank.example"
			f.with(func(o *ratchet.Options) {
				if o.Senders = n; tt.change != nil {
					tt.change(&fresh, o)
				}
			})
			f.strip(t, "in clear", fresh, day(6), tt.want)
			if n.asked != tt.asked || slices.Contains(n.known, false) {
				t.Errorf("SPF was asked %d times, want %d; for a domain that is known: %v", n.asked, tt.asked, n.known)
			}
		})
	}
}

// What comes in clear says of a network only that a domain has bare addresses
// there, and that from the second day on.
func TestNetworkOfBareHosts(t *testing.T) {
	f := newFixture(t)
	f.deliver(session(t, host(2), day(1), tlsstate.TLS13)) // STARTTLS is offered
	bare := bank
	bare.Addr, bare.Name = "203.0.200.9", "old.bank.example"
	s := session(t, bare, day(2), tlsstate.Plaintext)
	for n := 2; n <= 3; n++ {
		if h := f.memory.m[s.Peer.NetworkID()]; h != (tlsstate.History{}) {
			t.Errorf("before day %d: %+v", n, h)
		}
		f.deliver(session(t, bare, day(n), tlsstate.Plaintext))
	}
	h := f.memory.m[s.Peer.NetworkID()]
	if h.Bare != tlsstate.Mark([]byte("bank.example")) || h.Addresses != 0 || h.Name != (tlsstate.Name{}) {
		t.Errorf("%+v", h)
	}
}

// A name that DNS confirmed is the client's, though it has no domain that
// speaks for others: the memory supplies none in its place.
func TestConfirmedNameWithoutADomain(t *testing.T) {
	f := newPool(t)
	dialup := host(30)
	dialup.Name = "ip-" + strings.ReplaceAll(dialup.Addr, ".", "-") + ".pool.example"
	f.strip(t, "a customer's own address", dialup, day(11), tlsstate.Observe)
	dialup.Name, dialup.Resolve = "unknown", "FAIL"
	if d := f.strip(t, "the same without a name", dialup, day(11), tlsstate.Tempfail); !d.Recalled {
		t.Error("not by the memory of the network")
	}
}

// TestClaimedSenderFreesNobody: whoever strips a peer can also write any MAIL
// FROM: the row of a sender demands more, and never softens what the client's
// own row, or the policy, does.
func TestClaimedSenderFreesNobody(t *testing.T) {
	observe, reject := tlsstate.Observe, tlsstate.Reject
	f := newFixture(t,
		tlsstate.Row{Sender: "partner.example", Least: tlsstate.TLS13, Action: &observe},
		tlsstate.Row{Sender: "plain.example", Least: tlsstate.TLS13},
		tlsstate.Row{Domain: "strict.example", Least: tlsstate.TLS12, Action: &reject})
	f.pin(t, bank)
	strict := bank
	strict.Addr, strict.Name = "203.0.113.7", "strict.example"
	for _, tt := range []struct {
		client peer.Client
		from   string
		want   tlsstate.Action
	}{
		{bank, "a@bank.example", tlsstate.Tempfail},
		{bank, "a@partner.example", tlsstate.Tempfail},
		{strict, "a@strict.example", tlsstate.Reject},
		{strict, "a@partner.example", tlsstate.Reject},
		{strict, "a@plain.example", tlsstate.Reject},
	} {
		s := session(t, tt.client, day(6), tlsstate.Plaintext)
		s.From = tt.from
		if d := f.Decide(s); d.Action != tt.want {
			t.Errorf("%s, from %s: %s, want %s", tt.client.Name, tt.from, d.Action, tt.want)
		}
	}
}

// TestPlainPortTeachesNothing: a session in clear at a port without STARTTLS has
// nothing to be learned, not where the clock is doubted either.
func TestPlainPortTeachesNothing(t *testing.T) {
	f := newFixture(t)
	f.with(func(o *ratchet.Options) { o.PlainListeners = []string{"10025"} })
	f.pin(t, bank)
	filter := bank
	filter.Addr, filter.DaemonPort = "203.0.113.7", "10025"
	for _, n := range []int{6, 106} {
		if d := f.Decide(session(t, filter, day(n), tlsstate.Plaintext)); d.Changes || !errors.Is(d.Reason, ratchet.ErrNoSTARTTLS) {
			t.Errorf("day %d: changes %v, %v", n, d.Changes, d.Reason)
		}
	}
}
