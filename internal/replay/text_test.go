package replay_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tlsratchet/internal/replay"
	"tlsratchet/test/loggen"
	"tlsratchet/tlsstate"
)

var update = flag.Bool("update", false, "write the golden files")

// The whole report, as people see it.
func TestGoldenText(t *testing.T) {
	var log bytes.Buffer
	if err := loggen.Write(&log, loggen.Options{Lines: 8_000, Peers: 40, Days: 14}); err != nil {
		t.Fatal(err)
	}
	broken := "2026-09-14T23:00:00Z mx2 postfix/smtpd[9]: connect from\n" +
		"2026-09-14T23:00:00Z mx2 rsyslogd: imjournal: 5000 messages lost due to rate-limiting (20000 allowed within 600 seconds)\n" +
		"2026-09-14T23:00:01Z mx2 postfix/smtpd[9]: 4Q1: client=unknown[192.0.2.1]\n"
	r := read(t, log.String(), broken).Judge(rules(t, nil)).Report
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/report.golden", text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/report.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Error(diff)
	}
}

// Incidents of more than ten names within ten minutes are marked, and no
// others: held against a count that takes its time.
func TestManyAtOnce(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(r, "peers")
		var mails []mail
		var begins []int // minutes
		for p := range n {
			who := fmt.Sprintf("mx.peer%d.example[20.0.%d.1]", p, p)
			mails = append(mails, steady(who, 1, 6)...)
			minute := rapid.IntRange(0, 90).Draw(r, "minute")
			begins = append(begins, minute)
			mails = append(mails, mail{at: on(7, 9, 0).Add(time.Duration(minute) * time.Minute), who: who})
		}
		got := read(r, text(mails)).Judge(rules(r, nil)).Report.Incidents
		slices.Sort(begins)
		if len(got) != n {
			r.Fatalf("%d incidents, want %d", len(got), n)
		}
		for i := range got {
			many := false
			for start := max(begins[i]-10, 0); start <= begins[i]; start++ {
				inside := 0
				for _, b := range begins {
					if b >= start && b <= start+10 {
						inside++
					}
				}
				many = many || inside > 10
			}
			if (got[i].Fault == replay.FaultMany) != many {
				r.Errorf("minute %d of %v: %q", begins[i], begins, got[i].Fault)
			}
		}
	})
}

// A policy of a peer's own is tried too.
func TestRows(t *testing.T) {
	reject := tlsstate.Reject
	mails := append(steady(bank, 1, 6), mail{at: on(7, 9, 0), who: bank}, mail{at: on(7, 9, 0), who: "mx.new.example[198.51.100.1]"})
	for _, tt := range []struct {
		row  tlsstate.Row
		want string
	}{
		{tlsstate.Row{Domain: "bank.example", Subdomains: true, Action: &reject}, "With tempfail, 1 of 8 messages, from 1 peer, would have been refused."},
		{tlsstate.Row{Domain: "new.example", Subdomains: true, Least: tlsstate.TLS12, Action: &reject}, "With tempfail, 1 of 8 messages, from 1 peer, would have been refused, and 1 message, from 1 peer, would have waited."},
		// Then nobody shows that STARTTLS is offered.
		{tlsstate.Row{Domain: "bank.example", Subdomains: true, Exempt: true}, "No result: the log has no message whose encryption is known."},
	} {
		got := read(t, text(mails)).Judge(rules(t, nil, tt.row)).Report
		if got.Summary != tt.want {
			t.Errorf("%+v: %s", tt.row, got.Summary)
		}
	}
}
