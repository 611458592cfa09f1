package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:  "report",
		Usage: "show how much of inbound mail is encrypted, by day, and which peers send in clear",
		Flags: operatorFlags(
			&cli.BoolFlag{Name: "csv", DisableDefaultText: true, Usage: "print the days as CSV"},
			&cli.BoolFlag{Name: "outbound", DisableDefaultText: true, Usage: "report on the mail that you send instead"},
			&cli.IntFlag{Name: "limit", Value: 10, Usage: "at most `N` peers without TLS, or destinations in clear"},
		),
		Action: operation(func(c *cli.Context) (job, error) {
			if c.Bool("csv") && c.Bool("json") {
				return nil, usagef("use --csv or --json, not both")
			}
			if c.Bool("outbound") {
				return func(a *admin.Admin) error {
					o, err := a.Outbound(c.Context, admin.Override{})
					if err == nil {
						printSent(c, &o.Sent)
					}
					return err
				}, nil
			}
			return func(a *admin.Admin) error { return reportInbound(c, a) }, nil
		}),
	}
}

// report is the share of inbound mail that was encrypted, and the largest peers
// that never use TLS. Exempt mail, as that of our own users, is left out.
type report struct {
	Days  []reportDay `json:"days"`
	Plain []admin.Row `json:"without_tls"`
}

// reportDay is one UTC day.
type reportDay struct {
	Day       string `json:"day"`
	Messages  uint64 `json:"messages"`
	Encrypted uint64 `json:"encrypted"`
	// ByLevel counts messages by level, none first.
	ByLevel [4]uint64 `json:"by_level"`
}

// share is the encrypted part, 0 to 100.
func (d *reportDay) share() float64 {
	if d.Messages == 0 {
		return 0
	}
	return 100 * float64(d.Encrypted) / float64(d.Messages)
}

// printSent prints how much of our own mail was sent encrypted.
func printSent(c *cli.Context, s *outbound.Sent) {
	if c.Bool("csv") {
		var days []reportDay
		for _, d := range s.Days {
			days = append(days, newDay(d.Day.String(), d.Levels))
		}
		writeDays(c.App.Writer, "outbound", days)
		return
	}
	s.Clear = s.Clear[:min(len(s.Clear), c.Int("limit"))]
	show(c, s, s.Write)
}

func reportInbound(c *cli.Context, a *admin.Admin) error {
	s, err := a.Summary(c.Context)
	if err != nil {
		return err
	}
	r := report{Days: []reportDay{}, Plain: []admin.Row{}}
	for i := range s.Tally {
		r.Days = append(r.Days, newDay(s.Tally[i].Day.String(), s.Tally[i].Levels()))
	}
	if c.Bool("csv") {
		writeDays(c.App.Writer, "inbound", r.Days)
		return nil
	}
	in := func(yield func(admin.Row, error) bool) {
		for _, k := range []tlsstate.Kind{tlsstate.Domain, tlsstate.Address} {
			for row, err := range a.Peers(c.Context, admin.Query{Kind: k, Leveled: true, Level: tlsstate.Plaintext}) {
				if !yield(row, err) {
					return
				}
			}
		}
	}
	for row, err := range top(in, c.Int("limit"), orders["days"]) {
		if err != nil {
			return err
		}
		r.Plain = append(r.Plain, row)
	}
	show(c, r, r.text)
	return nil
}

// newDay returns a day with what follows from its levels.
func newDay(day string, levels [4]uint64) reportDay {
	d := reportDay{Day: day, ByLevel: levels}
	d.Encrypted, d.Messages = words.Encrypted(levels)
	return d
}

// writeDays writes days as CSV.
func writeDays(w io.Writer, direction string, days []reportDay) {
	out := csv.NewWriter(w)
	out.Write([]string{"date", "direction", "messages", "encrypted", "share", "none", "weak", "TLSv1.2", "TLSv1.3"})
	for i := range days {
		d := &days[i]
		record := []string{d.Day, direction, strconv.FormatUint(d.Messages, 10), strconv.FormatUint(d.Encrypted, 10), strconv.FormatFloat(d.share()/100, 'f', 4, 64)}
		for _, n := range d.ByLevel {
			record = append(record, strconv.FormatUint(n, 10))
		}
		out.Write(record)
	}
	out.Flush()
}

func (r *report) text(w io.Writer) {
	const format = "%-10s %9s %10s %9s %9s %9s %9s\n"
	fmt.Fprintf(w, format, "DAY", "MESSAGES", "ENCRYPTED", "none", "weak", "TLSv1.2", "TLSv1.3")
	for i := range r.Days {
		d := &r.Days[i]
		fmt.Fprintf(w, "%-10s %9d %9.2f%% %9d %9d %9d %9d\n", d.Day, d.Messages, d.share(), d.ByLevel[0], d.ByLevel[1], d.ByLevel[2], d.ByLevel[3])
	}
	if len(r.Plain) > 0 {
		fmt.Fprint(w, "\nPeers without TLS in the last 64 days, by the days on which they came:\n")
	}
	for _, p := range r.Plain {
		fmt.Fprintf(w, "  %-47s %s, last on %s\n", p.Identity, words.Count(allDays(p), "day"), p.Last)
	}
}
