package incident

import (
	"bytes"
	"strings"
	"testing"

	"tlsratchet/tlsstate"
)

// The evidence of a pin that is older than the window.
func TestWriteOldPin(t *testing.T) {
	var b bytes.Buffer
	i := Incident{Identity: tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"}, Evidence: Evidence{Pin: tlsstate.TLS12, Since: 20000, Last: 20700}}
	i.Write(&b)
	if want := "met the pin until 2026-09-04, pinned since 2024-10-04\n"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
}
