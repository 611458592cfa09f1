package population

import (
	"fmt"
	"strings"
)

// SendTables returns what rules did to the mail that we send, in Markdown.
func SendTables(o Options, all []*SendFigures) string {
	f := all[0]
	var b strings.Builder
	fmt.Fprintf(&b, "Seed %d, %d days, %s destinations, %s messages under no attack; %d attacks.\n\n",
		o.Seed, o.Days, comma(f.Destinations), comma(f.Messages), f.Attacks)
	aims(&b, f.Aims())
	row(&b, "rule for the mail that we send", "attacks stopped", "touched and sent in clear", "delayed, of a million", "for minutes: half, at most", "returned",
		"our firewall: waited", "held before and after it")
	row(&b, "---", "---:", "---:", "---:", "---:", "---:", "---:", "---:")
	for _, f := range all {
		row(&b, f.Rule, fmt.Sprintf("%d (%.1f %%)", f.Stopped, percent(f.Stopped, f.Attacks)), fmt.Sprintf("%.0f %%", percent(f.Leaked, f.Touched)),
			comma(f.perMillion()), fmt.Sprintf("%d, %s", f.Median, comma(int(f.Most))), comma(f.Returned), comma(f.Walled), fmt.Sprintf("%s, %s", comma(f.Held), comma(f.Kept)))
	}
	b.WriteString("\n")
	row(&b, "attack on the mail that we send", "attacks", "stopped", "no part of the aims, for")
	row(&b, "---", "---:", "---:", "---")
	for _, r := range f.Rows {
		row(&b, r.Row.Name, fmt.Sprint(r.Attacks), fmt.Sprint(r.Stopped), r.Row.Hopeless)
	}
	b.WriteString("\n")
	row(&b, "destinations, by our defaults", "destinations", "messages", "delayed", "returned")
	row(&b, "---", "---:", "---:", "---:", "---:")
	for _, p := range f.Places {
		row(&b, p.Kind.Name, comma(p.Places), comma(p.Messages), comma(p.Delayed), comma(p.Returned))
	}
	return b.String()
}
