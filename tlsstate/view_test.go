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
	if h.Pin(TLS12).Formed != dayZero+5 || h.LevelDays(TLS12, dayZero+6) != 0b111110 || h.LevelDays(TLS12, dayZero+4) != 0b1111 {
		t.Errorf("formed %s, days %b", h.Pin(TLS12).Formed, h.LevelDays(TLS12, dayZero+6))
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
