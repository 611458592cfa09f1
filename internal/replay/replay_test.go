package replay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tlsratchet/internal/maillog"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/replay"
	"tlsratchet/test/loggen"
	"tlsratchet/tlsstate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)

// mail is one session of one message.
type mail struct {
	at   time.Time
	who  string // "mx1.bank.example[192.0.2.10]"
	tls  string // "", "TLSv1.2", "TLSv1.3", or "failed"
	more string // "sasl", "trusted"
}

// on returns a time of a day of September.
func on(day, hour, minute int) time.Time {
	return time.Date(2026, time.September, day, hour, minute, 0, 0, time.UTC)
}

const bank = "mx1.bank.example[192.0.2.10]"

// text is the log of mails in the order of time, each by a process of its own.
func text(mails []mail) string { return spread(mails, 0) }

// spread is text with time between the lines of a session.
func spread(mails []mail, step time.Duration) string {
	var b strings.Builder
	mails = slices.Clone(mails)
	slices.SortStableFunc(mails, func(a, b mail) int { return a.at.Compare(b.at) })
	for n, m := range mails {
		at := m.at
		write := func(format string, args ...any) {
			fmt.Fprintf(&b, "%s mx1 postfix/smtpd[%d]: %s\n", at.Format(time.RFC3339), 1000+n, fmt.Sprintf(format, args...))
			at = at.Add(step)
		}
		write("connect from %s", m.who)
		switch m.tls {
		case "failed":
			write("SSL_accept error from %s: -1", m.who)
			write("disconnect from %s ehlo=1 starttls=0/1 commands=1/2", m.who)
			continue
		case "":
		default:
			trust := "Anonymous"
			if m.more == "trusted" {
				trust = "Trusted"
			}
			write("%s TLS connection established from %s: %s with cipher ECDHE-X (256/256 bits)", trust, m.who, m.tls)
		}
		login := ""
		if m.more == "sasl" {
			login = ", sasl_method=PLAIN, sasl_username=alice"
		}
		write("4Q%X: client=%s%s", n, m.who, login)
		starttls := ""
		if m.tls != "" {
			starttls = " starttls=1"
		}
		write("disconnect from %s ehlo=1%s mail=1 rcpt=1 data=1 quit=1 commands=5", m.who, starttls)
	}
	return b.String()
}

// steady is a mail over TLS on each of the days.
func steady(who string, from, to int) (all []mail) {
	for day := from; day <= to; day++ {
		all = append(all, mail{at: on(day, 8, 0), who: who, tls: "TLSv1.3"})
	}
	return all
}

// logs are the texts of logs.
type logs struct {
	t     rapid.TB
	texts []string
}

func read(t rapid.TB, texts ...string) logs { return logs{t, texts} }

// newInstallation has the numbers that a configuration begins with.
var newInstallation = ratchet.BreakerOptions{Domains: 10, Window: 10 * time.Minute, PinDays: 7}

// Judge replays the logs.
func (l logs) Judge(rules *tlsstate.Rules) *replay.Result {
	l.t.Helper()
	return l.run(replay.Options{Rules: rules, Breaker: newInstallation, Sending: outbound.Settings{Rules: rules}})
}

func (l logs) run(o replay.Options) *replay.Result {
	l.t.Helper()
	var sources []maillog.Source
	for _, text := range l.texts {
		sources = append(sources, maillog.Source{Name: "-", Stream: strings.NewReader(text)})
	}
	result, err := replay.Run(context.Background(), sources, maillog.Options{Now: now}, o)
	if err != nil {
		l.t.Fatal(err)
	}
	return result
}

func rules(t rapid.TB, change func(*tlsstate.Policy), rows ...tlsstate.Row) *tlsstate.Rules {
	t.Helper()
	p := tlsstate.DefaultPolicy()
	p.Stripped, p.Weakened = tlsstate.Tempfail, tlsstate.Tempfail
	if change != nil {
		change(&p)
	}
	r, err := tlsstate.NewRules(p, rows)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func judge(t *testing.T, mails []mail) replay.Report {
	t.Helper()
	return read(t, text(mails)).Judge(rules(t, nil)).Report
}

func TestIncident(t *testing.T) {
	mails := append(steady(bank, 1, 6),
		mail{at: on(7, 9, 0), who: bank},
		mail{at: on(7, 9, 30), who: bank},
		mail{at: on(7, 20, 0), who: "mx2.bank.example[198.51.100.7]"},
		mail{at: on(8, 8, 30), who: bank},
		mail{at: on(8, 9, 0), who: bank, tls: "TLSv1.2"},
	)
	r := judge(t, mails)
	want := []*replay.Incident{
		{
			Identity: "address:192.0.2.10", Client: bank, Began: on(7, 9, 0), Last: on(8, 8, 30), Kind: tlsstate.Stripped,
			Days: 6, Since: "2026-09-05", Pin: "TLSv1.2", Seen: "none", Messages: 3, Action: tlsstate.Tempfail,
		},
		{ // The domain speaks for an address without a history, and only marks.
			Identity: "domain:bank.example", Client: "mx2.bank.example[198.51.100.7]", Began: on(7, 20, 0), Last: on(7, 20, 0), Kind: tlsstate.Stripped,
			Days: 6, Since: "2026-09-05", Pin: "TLSv1.2", Seen: "none", Messages: 1, Action: tlsstate.Header,
		},
	}
	got := slices.Clone(r.Incidents)
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool {
		f := p.String()
		return f == "name"
	}, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
	if want := "With tempfail, 3 of 11 messages, from 1 peer, would have waited, and 1 message, from 1 peer, would have been marked."; r.Summary != want {
		t.Error(r.Summary)
	}
	if r.Peers != (replay.Peers{Addresses: 2, AddressesPinned: 1, Domains: 1, DomainsPinned: 1}) {
		t.Errorf("%+v", r.Peers)
	}
	if r.Judged != (replay.Count{Sessions: 11, Messages: 11}) || r.Levels[0].Messages != 6 || r.Levels[1].Messages != 1 || r.Levels[3].Messages != 4 || int(r.Encrypted*100) != 63 {
		t.Errorf("%+v %+v %f", r.Judged, r.Levels, r.Encrypted)
	}
}

// The peer comes back to TLS, and is stripped again: two incidents.
func TestIncidentCloses(t *testing.T) {
	mails := append(steady(bank, 1, 6), mail{at: on(7, 9, 0), who: bank}, mail{at: on(8, 8, 0), who: bank, tls: "TLSv1.3"}, mail{at: on(8, 9, 0), who: bank})
	if r := judge(t, mails); len(r.Incidents) != 2 {
		t.Errorf("%+v", r.Incidents)
	}
	mails = append(steady(bank, 1, 6), mail{at: on(7, 9, 0), who: bank}, mail{at: on(8, 9, 1), who: bank})
	if r := judge(t, mails); len(r.Incidents) != 2 {
		t.Errorf("after 24 quiet hours: %+v", r.Incidents)
	}
}

func TestOtherDowngrades(t *testing.T) {
	mails := steady(bank, 1, 6)
	for n := range mails {
		mails[n].more = "trusted"
	}
	mails = append(mails, mail{at: on(7, 9, 0), who: bank, tls: "TLSv1.3"}, mail{at: on(7, 10, 0), who: bank, tls: "TLSv1.1"})
	r := judge(t, mails)
	if len(r.Incidents) != 1 || r.Incidents[0].Kind != tlsstate.Unauthenticated || r.Incidents[0].Pin != "certificate" || r.Incidents[0].Messages != 2 {
		t.Errorf("%+v", r.Incidents)
	}
	if want := "With tempfail, 1 of 8 messages, from 1 peer, would have waited, and 1 message, from 1 peer, would only have been logged."; r.Summary != want {
		t.Error(r.Summary)
	}
}

// What looks like our own fault is marked.
func TestOwnFault(t *testing.T) {
	mails := append(steady(bank, 1, 6), mail{at: on(7, 8, 50), who: bank, tls: "failed"}, mail{at: on(7, 9, 0), who: bank})
	if r := judge(t, mails); len(r.Incidents) != 1 || r.Incidents[0].Fault != replay.FaultHandshake || r.OwnFault != 1 ||
		!strings.HasSuffix(r.Summary, " For 1 of these the fault looks like our own.") {
		t.Errorf("%+v, %s", r.Incidents, r.Summary)
	}
	for _, late := range []mail{{at: on(7, 9, 10), who: bank, tls: "failed"}, {at: on(7, 7, 50), who: bank, tls: "failed"}, {at: on(7, 8, 50), who: "mx1.bank.example[192.0.2.99]", tls: "failed"}} {
		mails = append(steady(bank, 1, 6), late, mail{at: on(7, 9, 0), who: bank})
		if r := judge(t, mails); len(r.Incidents) != 1 || r.Incidents[0].Fault != "" {
			t.Errorf("%v: %+v", late.at, r.Incidents)
		}
	}
	for _, tt := range []struct {
		peers, minutes int // between two peers
		faults         int
	}{{11, 1, 11}, {10, 1, 0}, {11, 2, 0}, {20, 0, 20}} {
		mails = nil
		for n := range tt.peers {
			who := fmt.Sprintf("mx.peer%d.example[20.0.%d.1]", n, n)
			mails = append(mails, steady(who, 1, 6)...)
			mails = append(mails, mail{at: on(7, 9, n*tt.minutes), who: who})
		}
		faults := 0
		for _, i := range judge(t, mails).Incidents {
			if i.Fault == replay.FaultMany {
				faults++
			}
		}
		if faults != tt.faults {
			t.Errorf("%+v: %d", tt, faults)
		}
	}
}

func TestNotJudged(t *testing.T) {
	exempt := tlsstate.Row{Domain: "bank.example", Subdomains: true, Exempt: true}
	mails := append(steady("mx.other.example[198.51.100.1]", 2, 3),
		mail{at: on(1, 9, 0), who: "mx.other.example[198.51.100.1]"}, // before the first TLS of the listener
		mail{at: on(3, 9, 0), who: bank},
		mail{at: on(3, 9, 0), who: "unknown[203.0.113.1]", more: "sasl"},
		mail{at: on(3, 9, 0), who: "unknown[not an address]"},
	)
	log := text(mails) + "2026-09-04T08:00:00Z mx1 postfix/smtpd[7]: 4Q1: client=unknown[203.0.113.9]\n" +
		"2026-09-04T08:00:00Z mx1 postfix/smtpd[8]: connect from unknown[127.0.0.1]\n" +
		"2026-09-04T08:00:00Z mx1 postfix/smtpd[8]: 4Q1: client=unknown[127.0.0.1], orig_client=mx[192.0.2.1]\n" +
		strings.ReplaceAll(text(steady(bank, 1, 1)), "2026-09-01", "2026-12-01")
	result := read(t, log).Judge(rules(t, nil, exempt))
	r := result.Report
	one := replay.Count{Sessions: 1, Messages: 1}
	if r.Exempt != one || r.Authenticated != one || r.Unreadable != one || r.Unknown != (replay.Count{Sessions: 2, Messages: 2}) || r.Returned != 1 || r.Future != 1 || r.Judged.Messages != 2 {
		t.Errorf("%+v", r)
	}
	if diff := cmp.Diff(map[string]int{string(maillog.NoBegin): 1, "no TLS was logged at this listener before": 1}, r.Reasons); diff != "" {
		t.Error(diff)
	}
	ids := slices.Sorted(func(yield func(string) bool) {
		for id := range result.Histories {
			yield(id.String())
		}
	})
	if diff := cmp.Diff([]string{"address:198.51.100.1", "domain:other.example", "network:198.51.100.0/24"}, ids); diff != "" {
		t.Error(diff)
	}
	if !result.Offered.Offers(tlsstate.DayOf(on(4, 0, 0))) {
		t.Error("nothing is known of the listener")
	}
}

// For a log without TLS lines the report has the reason why nothing was learned.
func TestNoTLSLines(t *testing.T) {
	var mails []mail
	for day := 1; day < 8; day++ {
		mails = append(mails, mail{at: on(day, 8, 0), who: bank})
	}
	log := text(mails)
	for want, log := range map[string]string{
		"mx1 postfix/smtpd: no line is about TLS. Either STARTTLS is not offered there, or smtpd_tls_loglevel = 1 is missing in main.cf. Nothing was learned there.": log,
		"mx1 postfix/smtpd: STARTTLS worked 7 times, but no line has the TLS version: set smtpd_tls_loglevel = 1 in main.cf. Nothing was learned there.":             strings.ReplaceAll(log, " mail=1", " starttls=1 mail=1"),
	} {
		result := read(t, log).Judge(rules(t, nil))
		if diff := cmp.Diff([]string{want}, result.Report.Warnings); diff != "" {
			t.Error(diff)
		}
		if len(result.Histories) != 0 || !strings.HasPrefix(result.Report.Summary, "No result") {
			t.Errorf("%v, %s", result.Histories, result.Report.Summary)
		}
	}
}

// One log, two policies: the second is not judged by what the first left.
func TestTwoPolicies(t *testing.T) {
	l := read(t, text(append(steady(bank, 1, 6), mail{at: on(7, 9, 0), who: bank})))
	strict := rules(t, func(p *tlsstate.Policy) { p.PinAfterDays = 7 })
	for range 2 {
		if a := l.Judge(rules(t, nil)).Report; a.Summary != "With tempfail, 1 of 7 messages, from 1 peer, would have waited." {
			t.Error(a.Summary)
		}
		if b := l.Judge(strict).Report; b.Summary != "With tempfail, none of 7 messages would have been touched." {
			t.Error(b.Summary)
		}
	}
}

// Months without a line are no clock that jumped.
func TestPause(t *testing.T) {
	early := strings.ReplaceAll(text(steady(bank, 1, 3)), "2026-09", "2026-01")
	h := read(t, early, text(steady(bank, 1, 1))).Judge(rules(t, nil)).Histories
	if got := h[tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"}]; got.Last != tlsstate.DayOf(on(1, 0, 0)) || got.First.String() != "2026-01-01" {
		t.Errorf("%+v", got)
	}
}

func TestText(t *testing.T) {
	mails := append(steady(bank, 1, 6),
		mail{at: on(7, 8, 50), who: bank, tls: "failed"}, mail{at: on(7, 9, 0), who: bank})
	long := strings.Repeat("a-very-long-name", 3) + "." + strings.Repeat("x", 60) + ".example"
	for day := 1; day <= 6; day++ {
		mails = append(mails, mail{at: on(day, 9, 0), who: "mx." + long + "[2001:db8:1:2::25]", tls: "TLSv1.3"})
	}
	mails = append(mails, mail{at: on(7, 10, 0), who: "mx2." + long + "[203.0.113.200]"}, mail{at: on(7, 11, 0), who: "mx." + long + "[2001:db8:1:2::25]", tls: "TLSv1.1"})
	r := judge(t, mails)
	r.Lines, r.Began = 123456789, on(1, 0, 0)
	r.Warnings = append(r.Warnings, strings.Repeat("word ", 30))
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > 81 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
	for _, want := range []string{
		"123,456,789 lines", "2026-09-07 10:00  xxxxxxxxxxxxxxxxxxxxxxxxx~  6/64  1.2, none       1  header\n",
		"2026-09-07 11:00  2001:db8:1:2::25            6/64  1.2, 1.1        1  tempfail\n",
		"\nIncidents that look like our own fault: 1\n", "192.0.2.10                  6/64  1.2, none       1  tempfail\n  its TLS handshake with us failed just before\n",
		"encrypted                 86.7 % of the messages\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

// The JSON is documented by its keys.
func TestJSON(t *testing.T) {
	data, err := json.Marshal(judge(t, append(steady(bank, 1, 6), mail{at: on(7, 9, 0), who: bank})))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	want := strings.Fields("actions authenticated began broken encrypted ended exempt future gaps incidents judged levels lines listeners own_fault peers policy repeated returned smtpd summary unknown unreadable")
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(keys))); diff != "" {
		t.Errorf("%s%s", diff, data)
	}
}

// world draws the mail of some days: peers that share domains and addresses
// that change their names.
func world(t *rapid.T) []mail {
	var all []mail
	at := on(1, 0, 0)
	for range rapid.IntRange(1, 60).Draw(t, "mails") {
		at = at.Add(time.Duration(rapid.SampledFrom([]int{5, 300, 7200, 86400, 10 * 86400}).Draw(t, "pause")) * time.Second)
		all = append(all, mail{
			at:   at,
			who:  fmt.Sprintf("%s[192.0.2.%d]", rapid.SampledFrom([]string{"mx.a.example", "mx.b.example", "unknown"}).Draw(t, "name"), rapid.IntRange(1, 3).Draw(t, "host")),
			tls:  rapid.SampledFrom([]string{"", "TLSv1.1", "TLSv1.2", "TLSv1.3", "TLSv1.3", "failed"}).Draw(t, "tls"),
			more: rapid.SampledFrom([]string{"", "", "", "sasl", "trusted"}).Draw(t, "more"),
		})
	}
	return slices.DeleteFunc(all, func(m mail) bool { return m.at.After(now) })
}

// Any order of files, and any doubling, of files, of parts and of lines, gives
// the same memory.
func TestAnyOrderAnyDoubling(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		trust := rules(r, func(p *tlsstate.Policy) { p.PinAfterDays = rapid.IntRange(1, 3).Draw(r, "pin after") })
		lines := slices.Collect(strings.Lines(spread(world(r), time.Second)))
		want := read(r, strings.Join(lines, "")).Judge(trust)
		var files []string
		var doubled strings.Builder
		for rest := lines; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(r, "rotated after")
			files = append(files, strings.Join(rest[:n], ""))
			rest = rest[n:]
		}
		for _, l := range lines {
			doubled.WriteString(strings.Repeat(l, rapid.IntRange(1, 2).Draw(r, "times")))
		}
		some := rapid.SliceOfN(rapid.SampledFrom(append(files, "")), 0, 5).Draw(r, "again")
		for name, other := range map[string][]string{
			"permuted":               rapid.Permutation(files).Draw(r, "order"),
			"permuted, some doubled": rapid.Permutation(append(some, files...)).Draw(r, "order, doubled"),
			"lines doubled":          {doubled.String()},
			"all of it twice":        {strings.Join(lines, ""), strings.Join(lines, "")},
		} {
			got := read(r, other...).Judge(trust)
			if diff := cmp.Diff(want.Histories, got.Histories); diff != "" || want.Offered != got.Offered {
				r.Errorf("%s: %s\n%s", name, diff, strings.Join(lines, ""))
			}
		}
	})
}

// A whole generated log, for its figures.
func TestGenerated(t *testing.T) {
	var b bytes.Buffer
	if err := loggen.Write(&b, loggen.Options{Lines: 50_000, Peers: 300}); err != nil {
		t.Fatal(err)
	}
	r := read(t, b.String()).Judge(rules(t, nil)).Report
	if r.Judged.Messages < 5000 || r.Peers.AddressesPinned < 100 || len(r.Incidents) == 0 || len(r.Warnings) != 0 || r.Encrypted < 0.85 {
		var text strings.Builder
		r.WriteText(&text)
		t.Error(text.String())
	}
}
