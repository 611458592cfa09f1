package tlsstate_test

import (
	"fmt"
	"time"

	"tlsratchet/tlsstate"
)

// A peer sends over TLS on five days, and in clear on the sixth.
func ExampleJudge() {
	rule := tlsstate.DefaultPolicy()
	monday := tlsstate.DayOf(time.Date(2026, 9, 21, 0, 0, 0, 0, time.UTC))
	var h tlsstate.History
	for n, level := range []tlsstate.Level{tlsstate.TLS13, tlsstate.TLS13, tlsstate.TLS12, tlsstate.TLS13, tlsstate.TLS13, tlsstate.Plaintext} {
		var v tlsstate.Verdict
		v, h = tlsstate.Judge(h, tlsstate.Observation{Day: monday + tlsstate.Day(n), Security: tlsstate.Security{Level: level}}, &rule)
		v.Identity = tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"}
		fmt.Println(v.Outcome, v.Kind)
		if v.Outcome == tlsstate.Downgraded {
			fmt.Printf("%s was pinned at %s on %s, and met that on %d days\n", v.Identity, v.Pin, v.Since, v.Days)
		}
	}
	// Output:
	// new none
	// learning none
	// learning none
	// learning none
	// raised none
	// downgrade stripped
	// address:192.0.2.10 was pinned at TLSv1.2 on 2026-09-25, and met that on 5 days
}
