package spf

import (
	"net/netip"
	"strings"
	"testing"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

func client(t testing.TB, addr, name string) *peer.Peer {
	t.Helper()
	p, err := peer.Identify(peer.Client{Addr: addr, Name: name, Resolve: "OK"})
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

// TestClaimNames: the sender's domain and the client's domain, or its network.
func TestClaimNames(t *testing.T) {
	for _, tc := range []struct{ addr, name, from, want string }{
		{"192.0.2.10", "mx1.outbound.example", "u@bank.example", "bank.example/outbound.example"},
		{"192.0.2.10", "mx1.outbound.example", "u@news.bank.example", "news.bank.example/outbound.example"},
		{"192.0.2.10", "unknown", "u@bank.example", "bank.example/192.0.2.0/24"},
		{"192.0.2.10", "192-0-2-10.dial.example", "u@bank.example", "bank.example/192.0.2.0/24"},
		{"IPv6:2001:db8:1:2::10", "unknown", "u@bank.example", "bank.example/2001:db8:1::/48"},
		{"IPv6:::ffff:192.0.2.10", "unknown", "u@bank.example", "bank.example/192.0.2.0/24"},
		{"IPv6:fdff:ffff:ffff:ffff::1", "unknown", "u@bank.example", "bank.example/fdff:ffff:ffff::/48"},
	} {
		c, ok := ClaimOf(client(t, tc.addr, tc.name), tc.from)
		if !ok || c.Identity != (tlsstate.Identity{Kind: tlsstate.Sender, Name: tc.want}) {
			t.Errorf("%+v: %v, %v", tc, c.Identity, ok)
		}
	}
}

// TestClaimPaths: a MAIL argument comes as the client sent it.
func TestClaimPaths(t *testing.T) {
	p := client(t, "192.0.2.10", "mx1.outbound.example")
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, strings.Repeat("b", 61)}, ".") // 253
	for from, want := range map[string]string{
		"user@bank.example":                        "bank.example",
		"<user@bank.example>":                      "bank.example",
		"<User@Bank.EXAMPLE.>":                     "bank.example",
		" user@bank.example ":                      "bank.example",
		"<@a.example,@b.example:user@bank.example": "bank.example",
		"@a.example:user@bank.example":             "bank.example",
		`"a@evil.example"@bank.example`:            "bank.example",
		`"a b:c"@bank.example`:                     "bank.example",
		"bücher@bücher.example":                    "xn--bcher-kva.example",
		"u@BÜCHER.example.":                        "xn--bcher-kva.example",
		"u@xn--bcher-kva.example":                  "xn--bcher-kva.example",
		"u@bücher。example":                         "xn--bcher-kva.example",
		"u@_x.bank.example":                        "_x.bank.example",
		// Postfix reads these as user@bank.example.
		"<user@bank.example(x)>":                    "bank.example",
		"<user@(a(b)\\)@evil.example)bank.example>": "bank.example",
		"<user@bank.example(@evil.example":          "bank.example",
		"Joe<user@bank.example>":                    "bank.example",
		"<user@ bank.example>":                      "bank.example",
		"<user@bank\t.example>":                     "bank.example",
		`"(<"@bank.example`:                         "bank.example",
		`<"a\"(b"@bank.example>`:                    "bank.example",
		"u@" + long:                                 long,
		strings.Repeat("l", 500) + "@bank.example":  "bank.example",

		"<bank.example!user>":            "bank.example",
		"<user%bank.example>":            "bank.example",
		"<@a.example:bank.example!user>": "bank.example",
		`<"user@bank.example">`:          "bank.example",
		`<"user%bank.example">`:          "bank.example",
		"<bank.example!user%evil.test>":  "bank.example",
		"<evil.test!user@bank.example>":  "bank.example",
		"<user%evil.test@bank.example>":  "bank.example",

		// And so these.
		`<user@bank\.example>`:            "bank.example",
		`<user@ba\nk.example>`:            "bank.example",
		`<user@"bank".example>`:           "bank.example",
		`<user@bank."example">`:           "bank.example",
		`<user\@bank.example>`:            "bank.example",
		`<us\!er%bank.example>`:           "bank.example",
		`<user@bank.example\`:             "",
		`<user%"bank".example>`:           "bank.example",
		`<user%bank\.example>`:            "bank.example",
		`<"bank"."example"!user>`:         "bank.example",
		`<"bank.example!user">`:           "bank.example",
		`<"user@evil.test"%bank.example>`: "bank.example",
		`<bank.example!"user@evil.test">`: "bank.example",
		`<""@bank.example>`:               "bank.example",
		"<group:user@bank.example;>":      "bank.example",
		"<group:bank.example!user;>":      "bank.example",
		"<user@bank.example,>":            "bank.example",
		"<,user@bank.example>":            "bank.example",
		"<user@bank.example;>":            "bank.example",
		"<@a.example:user%bank.example>":  "bank.example",

		`<"">`:                     "",
		"<!>":                      "",
		"<%>":                      "",
		"<user%>":                  "",
		"":                         "",
		"<>":                       "",
		" ":                        "",
		"user":                     "",
		"user@":                    "",
		"<user@>":                  "",
		"@bank.example":            "",
		"<@a.example:>":            "",
		"<@a.example>":             "",
		"user@localhost":           "",
		"user@[192.0.2.10]":        "",
		"user@[IPv6:2001:db8::1]":  "",
		"user@192.0.2.10":          "",
		"user@bank..example":       "",
		"user@bank.example..":      "",
		"user@bank.example/other":  "",
		"user@bank.example\r\nX:":  "",
		"user@\xff.example":        "",
		"user@xn--\xc3.example":    "",
		"user@" + long + "c":       "",
		"@a.example:@bank.example": "",
		strings.Repeat("l", 2000) + "@bank.example":                     "bank.example",
		"<" + strings.Repeat("@a.example,", 200) + "@b:u@bank.example>": "bank.example",
	} {
		c, ok := ClaimOf(p, from)
		if ok != (want != "") || ok && c.Identity.Name != want+"/outbound.example" {
			t.Errorf("%.90q: %q, %v; want %q", from, c.Identity.Name, ok, want)
		}
	}
	if _, ok := ClaimOf(&peer.Peer{}, "u@bank.example"); ok {
		t.Error("a claim of nobody")
	}
}

// TestClaimLongest: the longest names there are fit an identity.
func TestClaimLongest(t *testing.T) {
	label := strings.Repeat("a", 63)
	p := client(t, "192.0.2.10", "mx."+label+".example")
	p.Domain.Name = strings.Repeat("a", 253)
	c, ok := ClaimOf(p, "u@"+strings.Join([]string{label, label, label, strings.Repeat("b", 61)}, "."))
	if !ok || len(c.Identity.Name) != 507 {
		t.Fatalf("%d bytes, %v", len(c.Identity.Name), ok)
	}
	if _, err := tlsstate.ParseIdentity(c.Identity.String()); err != nil {
		t.Error(err)
	}
}

// TestMacroTexts: what SPF's macros are made of has one @, and none of what a
// client can do with quotes and bytes.
func TestMacroTexts(t *testing.T) {
	p := client(t, "192.0.2.10", "mx1.outbound.example")
	for from, want := range map[string]string{
		"User+x@Bank.example":                "User+x@bank.example",
		`"a@evil.example"@bank.example`:      "\x7f@bank.example",
		`a@evil.example@bank.example`:        "\x7f@bank.example",
		"jörg@bank.example":                  "\x7f@bank.example",
		"a\x00b@bank.example":                "\x7f@bank.example",
		"!~@bank.example":                    "!~@bank.example",
		strings.Repeat("l", 128) + "@b.test": strings.Repeat("l", 128) + "@b.test",
		strings.Repeat("l", 129) + "@b.test": "\x7f@b.test",
	} {
		c, ok := ClaimOf(p, from)
		if got := c.sender(); !ok || got != want {
			t.Errorf("%.60q: %q, want %q", from, got, want)
		}
	}
}

func TestFlipped(t *testing.T) {
	for ip, bits := range map[string]int{"192.0.2.10": 16, "10.255.0.1": 16, "2001:db8::1": 32, "fe80::": 32} {
		a := netip.MustParseAddr(ip)
		b := flipped(a)
		narrow, _ := a.Prefix(bits)
		wide, _ := a.Prefix(bits - 1)
		if narrow.Contains(b) || !wide.Contains(b) || flipped(b) != a {
			t.Errorf("%v becomes %v", a, b)
		}
	}
}

// FuzzClaim: any argument is a claim of a good name, or none; the same claim
// written in its own words is the same.
func FuzzClaim(f *testing.F) {
	for _, s := range []string{"<u@bank.example>", "@a:b@c.d", `"@"@bücher.example.`, "u@xn--a.example", ""} {
		f.Add(s)
	}
	named, bare := client(f, "192.0.2.10", "mx1.outbound.example"), client(f, "2001:db8::1", "unknown")
	f.Fuzz(func(t *testing.T, from string) {
		for _, p := range []*peer.Peer{named, bare} {
			c, ok := ClaimOf(p, from)
			if !ok {
				continue
			}
			id, err := tlsstate.ParseIdentity(c.Identity.String())
			if err != nil || id != c.Identity {
				t.Fatalf("%q: %v, %v", from, id, err)
			}
			if s := c.sender(); strings.Count(s, "@") != 1 || len(s) > maxLocal+254 {
				t.Fatalf("%q: sender %q", from, s)
			}
			if again, ok := ClaimOf(p, "u@"+c.domain); !ok || again.Identity != c.Identity {
				t.Fatalf("%q: %v, then %v", from, c.Identity, again.Identity)
			}
		}
	})
}

func BenchmarkClaim(b *testing.B) {
	p := client(b, "192.0.2.10", "mx1.outbound.example")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := ClaimOf(p, "<user@bank.example>"); !ok {
			b.Fatal("no claim")
		}
	}
}
