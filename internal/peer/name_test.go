package peer_test

import (
	"errors"
	"strings"
	"testing"

	"tlsratchet/internal/peer"
)

func TestNormalize(t *testing.T) {
	label := strings.Repeat("a", 63)
	longest := label + "." + label + "." + label + "." + strings.Repeat("b", 61)
	for _, tt := range []struct{ name, want string }{
		{"mx1.bank.example", "mx1.bank.example"},
		{"MX1.Bank.Example", "mx1.bank.example"},
		{"mx1.bank.example.", "mx1.bank.example"},
		{"localhost", "localhost"},
		{"mx_out._tcp.bank.example", "mx_out._tcp.bank.example"},
		{"r3---sn-4g5e6nsz.bank.example", "r3---sn-4g5e6nsz.bank.example"},
		{"1.2.3.bank.example", "1.2.3.bank.example"},
		{"mx.bücher.example", "mx.xn--bcher-kva.example"},
		{"mx.BÜCHER.example", "mx.xn--bcher-kva.example"},
		{"MX.XN--BCHER-KVA.EXAMPLE", "mx.xn--bcher-kva.example"},
		{"mx_out.bücher.example", "mx_out.xn--bcher-kva.example"},
		{"r3---sn.bücher.example", "r3---sn.xn--bcher-kva.example"},
		{"straße.example", "xn--strae-oqa.example"},
		{"mail.例え.jp", "mail.xn--r8jz45g.jp"},
		{"mail。例え。jp。", "mail.xn--r8jz45g.jp"},
		{"ｍｘ１.bank.example", "mx1.bank.example"},
		{"דואר.example", "xn--4dbfg1f.example"},
		{"例え", "xn--r8jz45g"},
		{longest, longest},
		{longest + ".", longest},
	} {
		got, err := peer.Normalize(tt.name)
		if err != nil || got != tt.want {
			t.Errorf("Normalize(%q) = %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

// A PTR record is the peer's to write: none of these gets anywhere near a
// header, a log or a key.
var hostile = []string{
	"", ".", "..", ".bank.example", "mx..bank.example", "bank.example..", " ", "mx1.bank.example ",
	"mx1 .bank.example", "mx1.bank.example\x00", "\x00", "mx\r\nX-TLS-Ratchet: steady.bank.example", "mx\rbank.example",
	"mx\n.bank.example", "\x1b[31mmx.bank.example", "mx.bank.example\x7f", "mx;bank.example", "mx=1.bank.example",
	`mx".bank.example`, "mx%s.bank.example", "mx/24.bank.example", "*.bank.example", "mx@bank.example", "mx:25.example",
	"[192.0.2.10]", "192.0.2.10", "2001:db8::1", "bank.123", "-mx.bank.example", "mx-.bank.example", "mx.bank.-", "-",
	"\xff\xfe.bank.example", "mx\xc3.bank.example", "mx.\u202ebank.example", "mx.\u200fbank.example",
	"mx.b\u05d0nk.example", "mx\u2028.bank.example", "xn--.example", "xn--0.example", "xn--\x00.example",
	strings.Repeat("a.", 126) + "aa", "mx.{.example", "bank.99", "xn--a-ecp.ru-.example", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 127) + "a",
	strings.Repeat("a", 2000), strings.Repeat("mx.", 700) + "example", strings.Repeat("ü", 2000) + ".example",
	strings.Repeat("ü", 100) + ".example", strings.Repeat("ﷺ", 60) + ".example", "xn--" + strings.Repeat("9", 500) + ".example",
}

func TestNormalizeRefuses(t *testing.T) {
	for _, name := range hostile {
		got, err := peer.Normalize(name)
		if !errors.Is(err, peer.ErrName) || got != "" {
			t.Errorf("Normalize(%q) = %q, %v, want ErrName", name, got, err)
			continue
		}
		if msg := err.Error(); len(msg) > 800 || !clean(strings.ReplaceAll(msg, " ", "")) {
			t.Errorf("%q: the error isn't fit for a log: %q", name, msg)
		}
	}
}

// Emoji are no letters, but UTS #46 maps them and some registries sell them.
// Whatever becomes of such a name, it comes out clean.
func TestNormalizeEmoji(t *testing.T) {
	got, err := peer.Normalize("mx.📧.example")
	if err == nil && got != "mx.xn--du8h.example" {
		t.Errorf("got %q", got)
	}
}

func TestHostileNamesGiveNoDomain(t *testing.T) {
	for _, name := range hostile {
		c := known()
		c.Name = name
		p := identify(t, c)
		if p.Host != "" || !p.Domain.IsZero() {
			t.Errorf("%q: host %q, domain %v", name, p.Host, p.Domain)
		}
		if p.Address.Name != "192.0.2.10" {
			t.Errorf("%q took the address away: %v", name, p.Address)
		}
	}
}
