package inbound_test

import (
	"testing"

	"tlsratchet/internal/inbound"
)

func TestRecipients(t *testing.T) {
	r := inbound.Recipients{"postmaster", "list@example.org", "jörg@xn--bcher-kva.example"}
	for rcpt, want := range map[string]bool{
		"postmaster": true, "<PostMaster@any.example>": true, "list@example.org": true, "LIST@EXAMPLE.ORG": true,
		"list@other.example": false, "list@example.org.": true, "Jörg@bücher.example": true, "jörg@BÜCHER.example.": true, "jörg@xn--bcher-kva.example": true,
		`"postmaster"@ours.example`: true, "<@relay.example:postmaster@ours.example>": true, "<@relay.example,@b.example:list@example.org>": true,
		"postmaster@[192.0.2.1]": true, "list@[192.0.2.1]": false, "list": false, "@example.org": false, `"a@b"@example.org`: false,
		`"postmaster@x"@ours.example`: false, "@postmaster": false, "@x:": false, "postmaster@x@ours.example": false, "bob": false, "": false, "postmasters@x": false,
	} {
		if got := r.Has(rcpt); got != want {
			t.Errorf("%q: %v", rcpt, got)
		}
	}
}
