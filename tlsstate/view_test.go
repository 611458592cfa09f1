package tlsstate_test

import (
	"testing"

	. "tlsratchet/tlsstate"
)

func TestViews(t *testing.T) {
	rule := DefaultPolicy()
	h := pinned(&rule)
	var none History
	if none.Best() != Plaintext || none.TopPin(&rule, dayZero) != Plaintext || none.Holds(Weak, &rule, dayZero) {
		t.Error("a peer never seen has a pin")
	}
	if h.Best() != TLS12 || h.TopPin(&rule, dayZero+5) != TLS12 || !h.Holds(TLS12, &rule, dayZero+5) || h.Holds(TLS13, &rule, dayZero+5) {
		t.Errorf("best %s, pinned %s", h.Best(), h.TopPin(&rule, dayZero+5))
	}
	if h.Pin(TLS12).Formed != dayZero+5 {
		t.Errorf("formed %s", h.Pin(TLS12).Formed)
	}
	if got := h.TopPin(&rule, dayZero+185); got != TLS12 {
		t.Errorf("on the last day: %s", got)
	}
	if got := h.TopPin(&rule, dayZero+186); got != Plaintext {
		t.Errorf("after it: %s", got)
	}
	rule.PinUpTo = Weak
	if got := h.TopPin(&rule, dayZero+5); got != Weak {
		t.Errorf("pinned up to weak: %s", got)
	}
}

// A domain is only partly encrypted where at least two of its addresses, and a
// tenth of them, are bare.
func TestPartlyEncryptedDomains(t *testing.T) {
	rule := DefaultPolicy()
	h := pinned(&rule)
	for d := Day(7); d <= 19; d += 2 { // seven days below, each with a better one beside it
		_, h = Judge(h, Observation{Day: dayZero + d, Security: Security{Level: TLS12}}, &rule)
		_, h = Judge(h, Observation{Day: dayZero + d}, &rule)
	}
	for _, tt := range []struct {
		addresses, bare int
		want            PinState
	}{
		{0, 0, PinRelaxed}, // one peer, not a domain
		{20, 2, PinRelaxed},
		{22, 2, PinHolds},
		{5, 1, PinHolds}, // a single address, however large its share
		{5, 2, PinRelaxed},
		{100, 5, PinHolds},
	} {
		h.Addresses, h.Bare = sketchOf(tt.addresses), sketchOf(tt.bare)
		if got := h.PinState(TLS12, &rule, dayZero+20, true); got != tt.want {
			t.Errorf("%d of %d addresses bare: %s, want %s", tt.bare, tt.addresses, got, tt.want)
		}
	}
}
