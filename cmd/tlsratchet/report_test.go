package main

import (
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/outbound"
	"tlsratchet/tlsstate"
)

// TestReportOutbound: --csv and --limit count for the mail that we send, too.
func TestReportOutbound(t *testing.T) {
	sent := outbound.Sent{
		Days:  []outbound.SentDay{{Day: tlsstate.DayOf(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)), Levels: [4]uint64{1, 0, 2, 1}}},
		Clear: []outbound.ClearDestination{{Destination: "a.example", Recipients: 2}, {Destination: "b.example", Recipients: 1}},
	}
	for args, want := range map[string]string{
		"--csv":     "date,direction,messages,encrypted,share,none,weak,TLSv1.2,TLSv1.3\n2026-11-21,outbound,4,3,0.7500,1,0,2,1\n",
		"--limit=1": "In clear, the largest first:\n  2        a.example\n",
	} {
		var out strings.Builder
		app := &cli.App{Name: "report", Writer: &out, Flags: reportCommand().Flags, Action: func(c *cli.Context) error {
			s := sent
			printSent(c, &s)
			return nil
		}}
		if err := app.Run([]string{"report", args}); err != nil || !strings.HasSuffix(out.String(), want) {
			t.Errorf("%s: %v\n%s", args, err, &out)
		}
	}
}
