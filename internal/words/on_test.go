package words

import (
	"testing"

	"tlsratchet/tlsstate"
)

// A pin that is older than the window was met on none of its days.
func TestOn(t *testing.T) {
	last := tlsstate.Day(20700)
	for days, want := range map[int]string{
		0:  "until 2026-09-04",
		41: "on 41 of the last 64 days, last on 2026-09-04",
	} {
		if got := On(days, last); got != want {
			t.Errorf("%d days: %q, want %q", days, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"1 day": Count(1, "day"), "0 days": Count(0, "day"), "2 identities": Count(2, "identity"), "11 addresses": Count(11, "address"),
		"Few peers downgrade now.": Sentence("few peers downgrade now"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
