package milter

import (
	"testing"

	"tlsratchet/internal/inbound"
	"tlsratchet/tlsstate"
)

// TestMarkComesFirst: the mark and the hold don't wait for forged copies to be
// deleted; no more than 20 are, and the header says how many are left.
func TestMarkComesFirst(t *testing.T) {
	u := newUnit(&scripted{decision: downgrade(tlsstate.Quarantine)}, inbound.Options{})
	u.mail("ann@bank.example", macros("192.0.2.10", ""))
	u.rcpt("bob@ours.example")
	u.copies = 8000
	got := u.event(cmdEOM, "")
	if len(got) != 23 || got[0][0] != insert || got[1][0] != quarantine || got[22] != string(rune(accept)) {
		t.Fatalf("%q", got)
	}
	if want := "i\x00\x00\x00\x00X-TLS-Ratchet\x00downgrade; kind=stripped; seen=none; forged=7980\x00"; got[0] != want {
		t.Errorf("inserted %q, want %q", got[0], want)
	}
	if got[2] != "m\x00\x00\x00\x15X-TLS-Ratchet\x00\x00" || got[21] != "m\x00\x00\x00\x02X-TLS-Ratchet\x00\x00" {
		t.Errorf("changed %q to %q", got[2], got[21])
	}
}
