package tlsstate_test

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"

	. "tlsratchet/tlsstate"
)

// TestValid: each way in which a history can't have been made.
func TestValid(t *testing.T) {
	rule := DefaultPolicy()
	good := pinned(&rule)
	for _, tt := range []struct {
		want   string // of the error; "" for none
		change func(*History)
	}{
		{"", func(*History) {}},
		{"first day", func(h *History) { h.First = 0 }},
		{"first day", func(h *History) { h.First = h.Last + 1 }},
		{"nothing was seen on the last day", func(h *History) { h.Seen[TLS12] &^= 1 }},
		{"nothing was seen on the last day", func(h *History) { h.WeekTLS &^= 1 }},
		{"seen before the first day", func(h *History) { h.Seen[Plaintext] = 1 << 5 }},
		{"seen before the first week", func(h *History) { h.WeekPlain = 1 << 1 }},
		{"", func(h *History) { h.NoCertDays = 1 }},
		{"a certificate on a day without TLS", func(h *History) { h.CertDays = 1 << 5 }},
		{"a certificate on a day without TLS", func(h *History) { h.Seen[TLS12], h.Seen[Plaintext], h.NoCertDays = 0, 1, 1 }},
		{"", func(h *History) { h.Seen[Plaintext], h.NoCertDays = 1, 1 }}, // TLS came that day, too
		{"a pin of", func(h *History) { h.Pins[1].Formed = h.Last + 1 }},
		{"a pin of", func(h *History) { h.Pins[1].Met = h.Last + 1 }},
		{"a pin of", func(h *History) { h.CertPin.Met = h.Last + 1 }},
		{"", func(h *History) { h.Pins[1].Void = h.Last + 1 }},
		{"a certificate since", func(h *History) { h.Cert.Since = h.Last }},
		{"a certificate since", func(h *History) { h.Cert.Mark = 2 }},
		{"", func(h *History) { h.Cert = Certificate{Since: h.Last, Mark: 2} }},
		{"a certificate since", func(h *History) { h.Cert = Certificate{Since: h.Last + 1, Mark: 2} }},
		{"", func(h *History) { h.Name = Name{Day: h.Last, Text: "mx1.bank.example"} }},
		{"later than the last day", func(h *History) { h.Name = Name{Day: h.Last + 1, Text: "mx1.bank.example"} }},
		{"an empty name", func(h *History) { h.Name.Day = h.Last }},
		{"", func(h *History) { h.Name.Text = strings.Repeat("x", 29) }},
		{"a name of 30 bytes", func(h *History) { h.Name.Text = strings.Repeat("x", 30) }},
		{"byte 0x20", func(h *History) { h.Name.Text = "a b" }},
		{"", func(h *History) { h.Name.Text, h.Addresses, h.Bare = "x", 1, 1 }},
		{"beside the marks of a domain", func(h *History) { h.Name.Text, h.Networks = "x", 1 }},
		{"beside the marks of a domain", func(h *History) { h.Name.Text, h.Named = "x", 1 }},
		{"beside the marks of a domain", func(h *History) { h.Name.Text, h.HostNames = "x", 1 }},
		{"beside the marks of a domain", func(h *History) { h.Name.Text, h.Senders = "x", 1 }},
	} {
		h := good
		tt.change(&h)
		err := h.Valid()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", h, err, tt.want)
		}
	}
}

// TestLongestRecords: of an address of which everything is known, and of a
// domain.
func TestLongestRecords(t *testing.T) {
	full := History{Epoch: 1, First: 1000, Last: 1001, Seen: [4]uint64{3, 3, 3, 3}, WeekTLS: 1, WeekPlain: 1, CertDays: 1, NoCertDays: 2}
	for i := range full.Pins {
		full.Pins[i] = Pin{Formed: 1001, Met: 1001, Void: 1000}
	}
	full.CertPin, full.Cert = full.Pins[0], Certificate{Since: 1000, Mark: 2}
	address, domain := full, full
	address.Marks, address.Name = Marks{Addresses: 1, Bare: 1}, Name{Day: 1001, Text: strings.Repeat("x", 29)}
	domain.Marks = Marks{Networks: 1, Addresses: 1, Bare: 1, Named: 1, HostNames: 1, Senders: 1}
	for _, h := range []History{address, domain} {
		if err := h.Valid(); err != nil {
			t.Fatal(err)
		}
		if b, _ := h.AppendBinary(nil); len(b) != 160 || MaxRecord != 160 {
			t.Errorf("%d bytes, the longest record %d, want 160", len(b), MaxRecord)
		}
	}
}

// TestNames: labels go from the front of a name that is too long, never from its
// organisational domain.
func TestNames(t *testing.T) {
	long := strings.Repeat("x", 20) + "."
	for _, tt := range []struct{ host, domain, want string }{
		{"mx1.bank.example", "bank.example", "mx1.bank.example"},
		{"bank.example", "bank.example", "bank.example"},
		{strings.Repeat("x", 16) + ".bank.example", "bank.example", strings.Repeat("x", 16) + ".bank.example"}, // 29 bytes
		{strings.Repeat("x", 17) + ".bank.example", "bank.example", "bank.example"},
		{"a.b." + long + "bank.example", "bank.example", "bank.example"},
		{"mx." + long + "yy.example", long + "yy.example", ""},
	} {
		want := Name{}
		if tt.want != "" {
			want = Name{Day: 7, Text: tt.want}
		}
		if got := LastName(7, tt.host, tt.domain); got != want {
			t.Errorf("%s: %+v, want %+v", tt.host, got, want)
		}
	}
	if got := LastName(0, "mx1.bank.example", "bank.example"); got != (Name{}) {
		t.Errorf("without a day: %+v", got)
	}
	for domain, want := range map[string]string{strings.Repeat("x", 29): strings.Repeat("x", 29), strings.Repeat("x", 30): Several} {
		if got := OnlyName(domain); got.Text != want || got.Day != 0 {
			t.Errorf("%s: %+v", domain, got)
		}
	}
}

// TestHostMark: a name has two marks, the second without its last letter.
func TestHostMark(t *testing.T) {
	if got := HostMark("mx1"); got != Mark([]byte("mx1"))|Mark([]byte("mx")) {
		t.Errorf("%x", got)
	}
	if got := HostMark("a"); got != Mark([]byte("a"))|Mark(nil) {
		t.Errorf("%x", got)
	}
}

// TestSenderMark: one bit for a sender, in the half that says what it does.
func TestSenderMark(t *testing.T) {
	for n := range 200 {
		name := fmt.Sprintf("customer%d.example", n)
		stays, moves := SenderMark(name, false), SenderMark(name, true)
		if bits.OnesCount64(uint64(stays)) != 1 || stays >= 1<<32 || moves != stays<<32 {
			t.Fatalf("%s: %x, %x", name, stays, moves)
		}
	}
}

// TestMarksStay: sketches are stored and shared, so that a thing keeps its mark.
func TestMarksStay(t *testing.T) {
	for thing, want := range map[string]Sketch{"": 1 << 18, "bank.example": 1 << 37, "\xc0\x00\x02\x0a": 1 << 50} {
		if got := Mark([]byte(thing)); got != want {
			t.Errorf("%q: %b", thing, got)
		}
	}
}

// TestWordsOfASession: the protocol as Postfix names it, the level where it does
// not, and none in clear.
func TestWordsOfASession(t *testing.T) {
	for want, s := range map[string]Security{
		"none":    {},
		"TLSv1.2": {Level: TLS12},
		"TLSv1.1": {Level: Weak, Protocol: "TLSv1.1"},
		"weak":    {Level: Weak},
		"TLSv1.4": {Level: TLS13, Protocol: "TLSv1.4"},
	} {
		if got := s.Words(); got != want {
			t.Errorf("%+v: %s, want %s", s, got, want)
		}
	}
	if got := (Security{Protocol: "TLSv1.2"}).Words(); got != "none" {
		t.Errorf("in clear, whatever it names: %s", got)
	}
}

// TestNamesOfIdentities: every character that is seen, and none too many.
func TestNamesOfIdentities(t *testing.T) {
	for name, ok := range map[string]bool{"!~": true, "\x7f": false, " ": false, strings.Repeat("x", MaxName): true, strings.Repeat("x", MaxName+1): false} {
		if _, err := ParseIdentity("domain:" + name); (err == nil) != ok {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}
