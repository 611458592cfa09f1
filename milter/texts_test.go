package milter

import (
	"strings"
	"testing"

	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// FuzzTexts holds the law on what leaves us: whatever the peer chose, only 0x20
// to 0x7E, no line of its own, a bounded length.
func FuzzTexts(f *testing.F) {
	f.Add("192.0.2.10", "mx.example", "TLSv1.2\r\nX: y", "ECDHE\x00", "a\"b;c", "https://x/%s", uint8(0))
	f.Add("IPv6:2001:db8::1", "m\u00fcx.example", "", "", "", "", uint8(7))
	f.Fuzz(func(t *testing.T, addr, name, version, cipher, cert, contact string, mode uint8) {
		facts := parseMacros(map[string]string{
			"{client_addr}": addr, "{client_name}": name, "{client_resolve}": "OK",
			"{tls_version}": version, "{cipher}": cipher, "{cert_subject}": cert,
			"{daemon_addr}": name, "{daemon_port}": version,
		})
		s, err := facts.Session()
		if err != nil {
			return
		}
		d := ratchet.Decision{Verdict: tlsstate.Verdict{
			Outcome: tlsstate.Downgraded, Kind: tlsstate.Downgrade(mode & 3), Identity: s.Peer.Address, Seen: s.Security,
			Pin: tlsstate.TLS12, Required: mode&4 != 0, State: tlsstate.PinHolds, Since: 9000, Last: 9001, Days: 41,
		}}
		if mode&8 != 0 && !s.Peer.Domain.IsZero() {
			d.Identity = s.Peer.Domain
		}
		header := words.Header(&d.Verdict, 0)
		if len(header) > 1200 {
			t.Fatalf("a header of %d bytes", len(header))
		}
		for _, line := range strings.Split(header, "\n\t") {
			clear7bit(t, line)
		}
		for _, action := range []tlsstate.Action{tlsstate.Tempfail, tlsstate.Reject} {
			text := strings.TrimSuffix(string(refusal(words.Reply(&d.Verdict, action, contact)).Response().Data), "\x00")
			clear7bit(t, text)
			if len(text) > 1000 {
				t.Fatalf("a reply of %d bytes", len(text))
			}
			if strings.Contains(strings.ReplaceAll(text, "%%", ""), "%") {
				t.Fatalf("a lone %% in %q", text)
			}
		}
	})
}

func clear7bit(t *testing.T, s string) {
	t.Helper()
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			t.Fatalf("byte %#02x in %q", s[i], s)
		}
	}
}
