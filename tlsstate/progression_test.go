package tlsstate_test

import (
	"fmt"
	"strings"
	"testing"

	. "tlsratchet/tlsstate"
)

// A life is a peer's sessions in order, a line each:
//
//	day[-day[/step]] what want
//
// what is none, weak, TLSv1.2, TLSv1.3, with +cert for a trusted client
// certificate; or an operator's unpin or forget, which wants "-". Of a range of
// days each one wants the same.
const dayZero = Day(20000)

var lives = []struct {
	name string
	rule func(*Policy)
	life string
}{
	{"new, learning, pinned, stripped, steady", nil, `
		1    TLSv1.2 new
		2-4  TLSv1.2 learning
		4    none    learning
	`},
	{"five days pin, then one in clear is stripped", nil, `
		1    TLSv1.2 new
		2-4  TLSv1.3 learning
		4    TLSv1.3 learning
		5    TLSv1.2 raised
		5    TLSv1.2 steady
		9    none    stripped
		9    none    stripped
		9    TLSv1.3 steady
	`},
	{"plain trust on first use", func(p *Policy) { p.PinAfterDays = 1 }, `
		1    TLSv1.2 new
		1    none    stripped
		2    none    stripped
	`},
	{"weakened", nil, `
		1    TLSv1.3 new
		2-4  TLSv1.3 learning
		5    TLSv1.3 raised
		6    weak    weakened
		6    TLSv1.2 steady
	`},
	{"weakened from 1.3 to 1.2 where 1.3 is pinned", func(p *Policy) { p.PinUpTo = TLS13 }, `
		1    TLSv1.3 new
		2-4  TLSv1.3 learning
		5    TLSv1.3 raised
		6    TLSv1.2 weakened
		7    none    stripped
	`},
	{"1.3 and 1.2 alternate at a big sender: the lower one is pinned", func(p *Policy) { p.PinUpTo = TLS13 }, `
		1    TLSv1.3 new
		1-4  TLSv1.2 learning
		5    TLSv1.3 raised
		5-30 TLSv1.2 steady
		31   weak    weakened
	`},
	{"unauthenticated", nil, `
		1    TLSv1.2+cert new
		2-4  TLSv1.2+cert learning
		5    TLSv1.2+cert raised
		6    TLSv1.2      unauthenticated
		6    TLSv1.2+cert steady
		7    none         stripped
	`},
	{"whoever strips does not wear the certificate's pin out", nil, `
		1    TLSv1.2+cert new
		2-4  TLSv1.2+cert learning
		5    TLSv1.2+cert raised
		6-7  none         stripped
		8-11 none         released
		12   TLSv1.2      unauthenticated
	`},
	{"back again", nil, `
		1    TLSv1.2 new
		2-4  TLSv1.2 learning
		5    TLSv1.2 raised
		6    none    stripped
		7    TLSv1.2 steady
		8    none    stripped
	`},
	{"lapsed after 180 days, and back", nil, `
		1    TLSv1.2 new
		2-4  TLSv1.2 learning
		5    TLSv1.2 raised
		185  none    stripped
		186  none    lapsed
		187  TLSv1.2 steady
		188  none    stripped
	`},
	{"released on the third day, held again when TLS returns", nil, `
		1    TLSv1.2 new
		2-4  TLSv1.2 learning
		5    TLSv1.2 raised
		8    none    stripped
		8    none    stripped
		12   none    stripped
		13   none    released
		13   none    released
		14   TLSv1.2 steady
		15   none    stripped
	`},
	{"relaxed: a peer that turns out to be partly encrypted is left alone", nil, `
		1    TLSv1.2 new
		2-4  TLSv1.2 learning
		5    TLSv1.2 raised
		6-16 TLSv1.2 steady
		6-14/2 none  stripped
		16   none    relaxed
		17   TLSv1.2 learning
		17   none    relaxed
		86   TLSv1.2 steady
	`},
	{"a message that waits is let through on its fifth day, whatever else comes", nil, `
		1    TLSv1.2 new
		2-4  TLSv1.2 learning
		5    TLSv1.2 raised
		6-10 TLSv1.2 steady
		6-9  none    stripped
		10   none    released
		11   TLSv1.2 steady
	`},
	{"one attack, however long, does not make the peer an only partly encrypted one", nil, `
		1    TLSv1.2 new
		2-4  TLSv1.2 learning
		5    TLSv1.2 raised
		6-7  none    stripped
		8-30 none    released
		31   TLSv1.2 steady
		32   none    stripped
		33   TLSv1.2 steady
		34   none    stripped
		35   TLSv1.2 steady
		36   none    relaxed
	`},
	{"a partly encrypted peer is never pinned", nil, `
		1    TLSv1.2 new
		1    none    learning
		2-63 TLSv1.2 learning
		30-300/30 none learning
		301-310 TLSv1.2 learning
	`},
	{"one day in clear delays the pin until it leaves the window", nil, `
		1    none    new
		2-64 TLSv1.2 learning
		65   TLSv1.2 raised
	`},
	{"a rare sender is remembered by weeks, as one that uses some TLS", nil, `
		1    TLSv1.2 new
		31   TLSv1.2 learning
		61   TLSv1.2 raised
		91   none    stripped
		121  weak    steady
	`},
	{"three weeks with TLS pin once the last is the sixth after the first", nil, `
		1    TLSv1.2 new
		30   TLSv1.2 learning
		40   TLSv1.2 learning
		41   TLSv1.2 raised
	`},
	{"weeks before an unpin do not pin", nil, `
		1    TLSv1.2 new
		31   TLSv1.2 learning
		61   TLSv1.2 raised
		62   unpin   -
		91-121/30 TLSv1.2 learning
		151  TLSv1.2 raised
	`},
	{"two weeks with TLS do not pin", nil, `
		1    TLSv1.2 new
		60   TLSv1.2 learning
		61   TLSv1.2 learning
	`},
	{"who wants more days wants more weeks", func(p *Policy) { p.PinAfterDays = 7 }, `
		1    TLSv1.2 new
		31-91/30 TLSv1.2 learning
		121  TLSv1.2 raised
	`},
	{"where three days pin, three weeks do", func(p *Policy) { p.PinAfterDays = 3 }, `
		1    TLSv1.2 new
		61   TLSv1.2 learning
		71   TLSv1.2 raised
	`},
	{"a rare sender that was twice in clear is not", nil, `
		1    none    new
		31   none    learning
		61-361/30 TLSv1.2 learning
	`},
	{"unpinned: a new pin needs new days", nil, `
		1    TLSv1.2 new
		2-4  TLSv1.2 learning
		5    TLSv1.2 raised
		6    unpin   -
		6    none    learning
		7-10 TLSv1.2 learning
		11   TLSv1.2 raised
		12   none    stripped
	`},
	{"forgotten: as if never seen", nil, `
		1    TLSv1.2 new
		2-4  TLSv1.2 learning
		5    TLSv1.2 raised
		6    forget  -
		6    none    new
		7    TLSv1.2 learning
	`},
	{"the clock goes backwards: days that were seen already", nil, `
		10   TLSv1.2 new
		9    TLSv1.2 learning
		8    TLSv1.2 learning
		7    TLSv1.2 learning
		6    TLSv1.2 raised
		3    none    stripped
		11   none    contested
	`},
	{"a day ahead", nil, `
		1    TLSv1.2 new
		3    TLSv1.2 learning
		2    TLSv1.2 learning
		4    TLSv1.2 learning
		5    TLSv1.2 raised
		4    TLSv1.2 steady
		5    none    stripped
	`},
	{"a year ahead and back: the windows are empty, the days go on", nil, `
		1    TLSv1.2 new
		366  TLSv1.2 learning
		2-5  TLSv1.2 learning
		367-369 TLSv1.2 learning
		370  TLSv1.2 raised
	`},
	{"turning TLS off for good: weak remains pinned", nil, `
		1    TLSv1.2 new
		2-4  TLSv1.2 learning
		5    TLSv1.2 raised
		6-7  weak    weakened
		8-20 weak    steady
		21   none    stripped
	`},
}

func TestLives(t *testing.T) {
	for _, tt := range lives {
		t.Run(tt.name, func(t *testing.T) {
			rule := DefaultPolicy()
			if tt.rule != nil {
				tt.rule(&rule)
			}
			var h History
			for _, line := range strings.Split(strings.TrimSpace(tt.life), "\n") {
				f := strings.Fields(line)
				for _, day := range daysOf(t, f[0]) {
					var got string
					h, got = live(t, h, day, f[1], &rule)
					if got != f[2] {
						t.Fatalf("%s: day %d: got %s, want %s\n%+v", strings.Join(f, " "), day-dayZero, got, f[2], h)
					}
					if err := h.Valid(); err != nil {
						t.Fatalf("day %d: %v", day-dayZero, err)
					}
				}
			}
		})
	}
}

func daysOf(t *testing.T, s string) (days []Day) {
	t.Helper()
	first, last, step := 0, 0, 1
	if _, err := fmt.Sscanf(s, "%d-%d/%d", &first, &last, &step); err != nil && first == 0 {
		t.Fatalf("day %q: %v", s, err)
	}
	for d := first; d <= max(first, last); d += step {
		days = append(days, dayZero+Day(d))
	}
	return days
}

func live(t *testing.T, h History, day Day, what string, rule *Policy) (History, string) {
	t.Helper()
	switch what {
	case "unpin":
		return h.Unpin(day), "-"
	case "forget":
		return h.Forget(day), "-"
	}
	name, cert := strings.CutSuffix(what, "+cert")
	level, err := ParseLevel(name)
	if err != nil {
		t.Fatal(err)
	}
	o := Observation{Day: day, Security: Security{Level: level, Certificate: cert}}
	v, after := Judge(h, o, rule)
	switch {
	case v.Outcome == Downgraded:
		return after, v.Kind.String()
	case v.State > PinHolds:
		return after, v.State.String()
	}
	return after, v.Outcome.String()
}
