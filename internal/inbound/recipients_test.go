package inbound_test

import (
	"testing"

	"tlsratchet/internal/inbound"
)

func TestRecipients(t *testing.T) {
	r := inbound.Recipients{"postmaster", "list@example.org"}
	for rcpt, want := range map[string]bool{
		"postmaster": true, "<PostMaster@any.example>": true, "list@example.org": true, "LIST@EXAMPLE.ORG": true,
		"list@other.example": false, "postmaster@x@ours.example": false, "bob": false, "": false, "postmasters@x": false,
	} {
		if got := r.Has(rcpt); got != want {
			t.Errorf("%q: %v", rcpt, got)
		}
	}
}
