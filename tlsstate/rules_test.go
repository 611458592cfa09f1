package tlsstate_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tlsratchet/tlsstate"
)

func action(a tlsstate.Action) *tlsstate.Action { return &a }

func network(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func newRules(t *testing.T, rows ...tlsstate.Row) *tlsstate.Rules {
	t.Helper()
	r, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), rows)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRulesFindTheMostSpecificRow(t *testing.T) {
	r := newRules(t,
		tlsstate.Row{Network: network("192.0.2.0/24"), Action: action(tlsstate.Header)},
		tlsstate.Row{Network: network("192.0.2.128/25"), Action: action(tlsstate.Quarantine)},
		tlsstate.Row{Network: network("192.0.2.130/32"), Action: action(tlsstate.Reject)},
		tlsstate.Row{Network: network("2001:db8::/32"), Action: action(tlsstate.Tempfail)},
		tlsstate.Row{Domain: "bank.example", Subdomains: true, Action: action(tlsstate.Tempfail)},
		tlsstate.Row{Domain: "bank.example", Action: action(tlsstate.Quarantine)},
		tlsstate.Row{Domain: "out.bank.example", Subdomains: true, Action: action(tlsstate.Reject)},
		tlsstate.Row{Domain: "mx.out.bank.example", Action: action(tlsstate.Observe)},
		tlsstate.Row{Domain: "alone.example", Action: action(tlsstate.Reject)},
	)
	const elsewhere = "198.51.100.1"
	for _, tc := range []struct {
		name, addr, host string
		want             string // the row's action, or "base"
	}{
		{"nobody we know", elsewhere, "mx.peer.example", "base"},
		{"no name", elsewhere, "", "base"},
		{"network", "192.0.2.1", "", "header"},
		{"longer prefix", "192.0.2.129", "", "quarantine"},
		{"one address", "192.0.2.130", "", "reject"},
		{"network before domain", "192.0.2.1", "bank.example", "header"},
		{"IPv4 in IPv6 is IPv4", "::ffff:192.0.2.1", "", "header"},
		{"IPv6", "2001:db8:1::1", "", "tempfail"},
		{"IPv6 with a zone", "2001:db8:1::1%eth0", "", "tempfail"},
		{"IPv6 outside", "2001:db9::1", "", "base"},
		{"the name itself", elsewhere, "bank.example", "quarantine"},
		{"below it", elsewhere, "mx1.bank.example", "tempfail"},
		{"far below it", elsewhere, "a.b.c.bank.example", "tempfail"},
		{"a nearer domain", elsewhere, "a.out.bank.example", "reject"},
		{"a nearer domain covers its own name", elsewhere, "out.bank.example", "reject"},
		{"an exact name before all", elsewhere, "mx.out.bank.example", "observe"},
		{"below an exact name", elsewhere, "a.mx.out.bank.example", "reject"},
		{"no suffix of letters", elsewhere, "notbank.example", "base"},
		{"without subdomains", elsewhere, "mx.alone.example", "base"},
		{"a parent", elsewhere, "example", "base"},
		{"dots alone", elsewhere, "...", "base"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, got := r.For(netip.MustParseAddr(tc.addr), tc.host), "base"
			if p != r.Default() {
				got = p.Stripped.String()
			}
			if got != tc.want {
				t.Errorf("For(%s, %q) is %s, want %s", tc.addr, tc.host, got, tc.want)
			}
		})
	}
	if p := r.For(netip.Addr{}, "bank.example"); p.Stripped != tlsstate.Quarantine {
		t.Errorf("no address: %v, want that of the name", p.Stripped)
	}
}

func TestPolicyOfARow(t *testing.T) {
	base := tlsstate.DefaultPolicy()
	base.Stripped, base.Unauthenticated = tlsstate.Tempfail, tlsstate.Header
	for _, tc := range []struct {
		name   string
		row    tlsstate.Row
		change func(*tlsstate.Policy)
	}{
		{"an action is for stripped and weakened, uncapped", tlsstate.Row{Action: action(tlsstate.Reject)}, func(p *tlsstate.Policy) {
			p.Peer, p.Stripped, p.Weakened = true, tlsstate.Reject, tlsstate.Reject
		}},
		{"a milder action is one too", tlsstate.Row{Action: action(tlsstate.Observe)}, func(p *tlsstate.Policy) {
			p.Peer, p.Stripped, p.Weakened = true, tlsstate.Observe, tlsstate.Observe
		}},
		{"a least level takes the base's actions", tlsstate.Row{Least: tlsstate.TLS12}, func(p *tlsstate.Policy) {
			p.Least = tlsstate.TLS12
		}},
		{"both", tlsstate.Row{Action: action(tlsstate.Tempfail), Least: tlsstate.TLS13}, func(p *tlsstate.Policy) {
			p.Peer, p.Stripped, p.Weakened, p.Least = true, tlsstate.Tempfail, tlsstate.Tempfail, tlsstate.TLS13
		}},
		{"exempt", tlsstate.Row{Exempt: true}, func(p *tlsstate.Policy) { p.Exempt = true }},
		{"judged", tlsstate.Row{Judged: true}, func(*tlsstate.Policy) {}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.row.Domain = "bank.example"
			r, err := tlsstate.NewRules(base, []tlsstate.Row{tc.row})
			if err != nil {
				t.Fatal(err)
			}
			want := base
			want.Row = "bank.example"
			tc.change(&want)
			if diff := cmp.Diff(want, *r.For(netip.Addr{}, "bank.example")); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(base, *r.Default()); diff != "" {
				t.Errorf("the base changed:\n%s", diff)
			}
		})
	}
}

// A least level without an action is held with the base's action and full
// force from the first mail on, but memory alone keeps its caps.
func TestLeastIsHeldFromTheFirstMail(t *testing.T) {
	base := tlsstate.DefaultPolicy()
	base.Stripped = tlsstate.Tempfail
	r, err := tlsstate.NewRules(base, []tlsstate.Row{{Domain: "bank.example", Least: tlsstate.TLS12}})
	if err != nil {
		t.Fatal(err)
	}
	rule := r.For(netip.Addr{}, "bank.example")
	first, _ := tlsstate.Judge(tlsstate.History{}, tlsstate.Observation{Day: 20000}, rule)
	if v := tlsstate.Combine(&tlsstate.Verdicts{Address: first}, rule); v.Action != tlsstate.Tempfail || !v.Required {
		t.Errorf("first mail in clear: action %s, required %t; want tempfail, true", v.Action, v.Required)
	}
	remembered := tlsstate.Verdict{Outcome: tlsstate.Downgraded, Kind: tlsstate.Stripped}
	if v := tlsstate.Combine(&tlsstate.Verdicts{Sender: remembered}, rule); v.Action != tlsstate.Header {
		t.Errorf("a sender's memory: action %s, want header", v.Action)
	}
}

func TestBadRows(t *testing.T) {
	good := tlsstate.Row{Domain: "bank.example", Exempt: true}
	for _, tc := range []struct {
		row  tlsstate.Row
		want string
	}{
		{tlsstate.Row{}, "row 2: names no peer: set domain, network or sender"},
		{tlsstate.Row{Domain: "a.example", Network: network("192.0.2.0/24"), Exempt: true},
			"row 2: names a domain and a network: make it two rows"},
		{tlsstate.Row{Domain: "a.example"}, "row 2: sets nothing: add action, least or exempt = true"},
		{tlsstate.Row{Domain: "a.example", Exempt: true, Least: tlsstate.Weak},
			"row 2: exempt: an exempt peer is never judged: leave out action and least"},
		{tlsstate.Row{Domain: "a.example", Exempt: true, Action: action(tlsstate.Observe)},
			"row 2: exempt: an exempt peer is never judged: leave out action and least"},
		{tlsstate.Row{Domain: "com", Subdomains: true, Least: tlsstate.TLS12},
			"row 2: domain: com with its subdomains is everybody, and a public server must not require TLS of everybody (RFC 3207 section 4): name a domain below it"},
		{tlsstate.Row{Network: network("0.0.0.0/0"), Least: tlsstate.TLS12},
			"row 2: network: 0.0.0.0/0 is too wide, and a public server must not require TLS of everybody (RFC 3207 section 4): use a /8 or narrower"},
		{tlsstate.Row{Network: network("2000::/3"), Least: tlsstate.TLS12},
			"row 2: network: 2000::/3 is too wide, and a public server must not require TLS of everybody (RFC 3207 section 4): use a /19 or narrower"},
		{tlsstate.Row{Network: network("0.0.0.0/0"), Exempt: true},
			"row 2: network: 0.0.0.0/0 exempts a large part of the Internet: name your own networks"},
		{tlsstate.Row{Network: network("128.0.0.0/1"), Exempt: true},
			"row 2: network: 128.0.0.0/1 exempts a large part of the Internet: name your own networks"},
		{tlsstate.Row{Sender: "partner.example", Action: action(tlsstate.Observe)},
			"row 2: sender: anybody may claim to be a sender, so that such a row can only demand TLS: set least"},
		{tlsstate.Row{Sender: "partner.example", Domain: "a.example", Least: tlsstate.TLS12},
			"row 2: names a sender and a client: make it two rows"},
		{tlsstate.Row{Sender: "com", Subdomains: true, Least: tlsstate.TLS12},
			"row 2: sender: com with its subdomains is everybody, and a public server must not require TLS of everybody (RFC 3207 section 4): name a domain below it"},
		{tlsstate.Row{Network: network("192.0.2.1/24"), Least: tlsstate.TLS12},
			"row 2: network: 192.0.2.1/24 has bits beyond its prefix: use 192.0.2.0/24"},
		{tlsstate.Row{Network: network("::ffff:192.0.2.0/120"), Least: tlsstate.TLS12},
			"row 2: network: ::ffff:192.0.2.0/120 is IPv4 in IPv6: write it as IPv4"},
		{tlsstate.Row{Network: network("192.0.2.0/24"), Subdomains: true, Least: tlsstate.TLS12},
			"row 2: subdomains: a network has none: leave it out"},
		{tlsstate.Row{Sender: "partner.example", Least: tlsstate.TLS12, Fingerprints: []string{"AA"}},
			"row 2: fingerprint: a sender has no certificate, its hosts have: name them by domain or network"},
		{tlsstate.Row{Domain: "a.example", Exempt: true, Fingerprints: []string{"AA"}},
			"row 2: exempt: an exempt peer is never judged: leave out fingerprint"},
		{good, "row 2: domain: bank.example without its subdomains has a row already"},
	} {
		r, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), []tlsstate.Row{good, tc.row})
		if err == nil || err.Error() != tc.want || r != nil {
			t.Errorf("%+v:\ngot  %v\nwant %s", tc.row, err, tc.want)
		}
		var where *tlsstate.RowError
		if !errors.As(err, &where) || where.Row != 1 {
			t.Errorf("%+v: the error doesn't say which row: %v", tc.row, err)
		}
	}
}

func TestAllBadRowsAreReported(t *testing.T) {
	net := tlsstate.Row{Network: network("192.0.2.0/24"), Exempt: true}
	sub := tlsstate.Row{Domain: "bank.example", Subdomains: true, Exempt: true}
	_, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), []tlsstate.Row{net, sub, {}, net, sub})
	want := strings.Join([]string{
		"row 3: names no peer: set domain, network or sender",
		"row 4: network: 192.0.2.0/24 has a row already",
		"row 5: domain: bank.example with its subdomains has a row already",
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestForAllocatesNothing(t *testing.T) {
	r := newRules(t,
		tlsstate.Row{Network: network("192.0.2.0/24"), Exempt: true},
		tlsstate.Row{Network: network("2001:db8::/32"), Exempt: true},
		tlsstate.Row{Domain: "bank.example", Subdomains: true, Exempt: true})
	addr := netip.MustParseAddr("2001:db9::1%eth0").WithZone("")
	if n := testing.AllocsPerRun(100, func() { r.For(addr, "a.b.c.d.peer.example") }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// naive returns the row that fits a client best, by looking at all of them.
func naive(rows []tlsstate.Row, addr netip.Addr, host string) int {
	best, rank := -1, -1
	for i, row := range rows {
		n := -1
		switch {
		case row.Domain == "" && row.Network.Contains(addr):
			n = 10_000 + row.Network.Bits()
		case row.Domain == "":
		case row.Domain == host && !row.Subdomains:
			n = 9_000
		case row.Subdomains && strings.HasSuffix("."+host, "."+row.Domain):
			n = len(row.Domain)
		}
		if n > rank {
			best, rank = i, n
		}
	}
	return best
}

func TestRulesAreThoseOfANaiveMatcher(t *testing.T) {
	names := rapid.StringMatching(`([ab]\.){0,3}[ab]\.example`)
	addrs := rapid.Custom(func(t *rapid.T) netip.Addr {
		b := rapid.SliceOfN(rapid.ByteRange(0, 3), 4, 4).Draw(t, "bytes")
		if rapid.Bool().Draw(t, "IPv6") {
			return netip.AddrFrom16([16]byte{0: 0x20, 2: b[0], 4: b[1], 8: b[2], 15: b[3]})
		}
		return netip.AddrFrom4([4]byte(b))
	})
	rows := rapid.Custom(func(t *rapid.T) tlsstate.Row {
		if rapid.Bool().Draw(t, "domain") {
			return tlsstate.Row{Domain: names.Draw(t, "name"), Subdomains: rapid.Bool().Draw(t, "subdomains")}
		}
		addr := addrs.Draw(t, "network")
		least := map[bool]int{true: 8, false: 19}[addr.Is4()]
		p, err := addr.Prefix(rapid.IntRange(least, addr.BitLen()).Draw(t, "bits"))
		if err != nil {
			t.Fatal(err)
		}
		return tlsstate.Row{Network: p}
	})
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfNDistinct(rows, 0, 12, func(r tlsstate.Row) string { return fmt.Sprint(r) }).Draw(t, "rows")
		base := tlsstate.DefaultPolicy()
		for i := range all {
			all[i].Least = tlsstate.TLS12
			all[i].Action = action(tlsstate.Action(i)) // distinguishes the rows
		}
		rules, err := tlsstate.NewRules(base, slices.Clone(all))
		if err != nil {
			t.Fatal(err)
		}
		addr, host := addrs.Draw(t, "addr"), names.Draw(t, "host")
		got, want := rules.For(addr, host), naive(all, addr, host)
		if (want < 0) != (got == rules.Default()) || (want >= 0 && got.Stripped != tlsstate.Action(want)) {
			t.Errorf("For(%s, %s) is %+v, want that of row %d", addr, host, *got, want)
		}
	})
}

// To exempt a wide network of one's own is no demand on anybody.
func TestWideExemption(t *testing.T) {
	r, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), []tlsstate.Row{{Network: netip.MustParsePrefix("fd00::/8"), Exempt: true}})
	if err != nil {
		t.Fatal(err)
	}
	if !r.For(netip.MustParseAddr("fd12::1"), "").Exempt {
		t.Error("not exempt")
	}
}

// TestForSender: a sender's row demands more than the client's, never less, and
// not of those who are exempt.
func TestForSender(t *testing.T) {
	r, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), []tlsstate.Row{
		{Sender: "partner.example", Subdomains: true, Least: tlsstate.TLS12},
		{Sender: "exact.example", Least: tlsstate.Weak},
		{Domain: "strict.example", Least: tlsstate.TLS13},
		{Network: network("fc00::/7"), Exempt: true},
	})
	if err != nil || !r.NamesSenders() {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		host, sender, row string
	}{
		{"mx.other.example", "partner.example", "partner.example"},
		{"mx.other.example", "news.partner.example", "partner.example"},
		{"mx.other.example", "exact.example", "exact.example"},
		{"mx.other.example", "not.exact.example", ""},
		{"mx.other.example", "", ""},
		{"strict.example", "partner.example", "strict.example"},
	} {
		if p := r.ForSender(r.For(netip.Addr{}, tc.host), tc.sender); p.Row != tc.row {
			t.Errorf("%+v: the row of %q", tc, p.Row)
		}
	}
}

// TestSenderRowSoftensNothing: of two rows the stronger of each action holds, and one
// that is never capped stays so.
func TestSenderRowSoftensNothing(t *testing.T) {
	header, reject := tlsstate.Header, tlsstate.Reject
	for _, tc := range []struct {
		client, sender *tlsstate.Action
		want           tlsstate.Action
		peer           bool
	}{
		{nil, nil, tlsstate.Quarantine, false},
		{nil, &header, tlsstate.Quarantine, true},
		{nil, &reject, tlsstate.Reject, true},
		{&header, nil, tlsstate.Quarantine, true},
		{&reject, nil, tlsstate.Reject, true},
		{&reject, &header, tlsstate.Reject, true},
	} {
		base := tlsstate.DefaultPolicy()
		base.Stripped, base.Weakened = tlsstate.Quarantine, tlsstate.Quarantine
		r, err := tlsstate.NewRules(base, []tlsstate.Row{
			{Domain: "bank.example", Least: tlsstate.Weak, Action: tc.client},
			{Sender: "shop.example", Least: tlsstate.TLS12, Action: tc.sender},
		})
		if err != nil {
			t.Fatal(err)
		}
		p := r.ForSender(r.For(netip.Addr{}, "bank.example"), "shop.example")
		if p.Stripped != tc.want || p.Weakened != tc.want || p.Peer != tc.peer || p.Least != tlsstate.TLS12 {
			t.Errorf("%v, %v: %+v", tc.client, tc.sender, p)
		}
	}
}

// TestSenderRowDemandsMore: of equal demands the client's own row holds.
func TestSenderRowDemandsMore(t *testing.T) {
	r := newRules(t, tlsstate.Row{Domain: "bank.example", Least: tlsstate.TLS12}, tlsstate.Row{Sender: "shop.example", Least: tlsstate.TLS12})
	if got := r.ForSender(r.For(netip.Addr{}, "bank.example"), "shop.example"); got.Row != "bank.example" {
		t.Errorf("row %s", got.Row)
	}
	if !r.NamesSenders() || newRules(t).NamesSenders() {
		t.Error("rows of senders are not known as such")
	}
	if _, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), []tlsstate.Row{{Network: network("8.0.0.0/8"), Exempt: true}}); err != nil {
		t.Errorf("a /8 that is exempt: %v", err)
	}
}

// TestRowIsNamed: a policy names the row that it comes from, for log and page.
func TestRowIsNamed(t *testing.T) {
	r := newRules(t, tlsstate.Row{Network: network("192.0.2.0/24"), Least: tlsstate.Weak}, tlsstate.Row{Domain: "bank.example", Least: tlsstate.Weak}, tlsstate.Row{Sender: "shop.example", Least: tlsstate.TLS12})
	for want, got := range map[string]*tlsstate.Policy{
		"192.0.2.0/24": r.For(netip.MustParseAddr("192.0.2.7"), "mx1.bank.example"),
		"bank.example": r.For(netip.MustParseAddr("203.0.113.7"), "bank.example"),
		"shop.example": r.ForSender(r.Default(), "shop.example"),
		"":             r.Default(),
	} {
		if got.Row != want {
			t.Errorf("row %q, want %q", got.Row, want)
		}
	}
}
