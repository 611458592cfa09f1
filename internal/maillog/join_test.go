package maillog_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/maillog"
)

var update = flag.Bool("update", false, "write the golden files")

// The log is what a real Postfix wrote: go run ./test/e2e/record.
func TestGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/postfix.log")
	if err != nil {
		t.Fatal(err)
	}
	got := readText(t, string(data))
	text := got.String() + "\n\nfailures\n" + strings.Join(got.failures, "\n") + "\n"
	if *update {
		if err := os.WriteFile("testdata/postfix.golden", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/postfix.golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Error(diff)
	}
	if got.stats.Broken != 0 || got.stats.Returned != 1 || len(got.stats.Problems) != 0 {
		t.Errorf("%+v", got.stats)
	}
}

func TestSessions(t *testing.T) {
	const unknown = "unknown (" // and why
	for _, tt := range []struct {
		name     string
		messages []string
		want     []string // what follows the client, without the listener
	}{
		{"encrypted", []string{connect, tls13, client, byeTLS}, []string{"1 TLSv1.3"}},
		{"in clear", []string{connect, client, byeClear}, []string{"1 none"}},
		{"no message", []string{connect, tls13, "NOQUEUE: reject: RCPT from " + bank + ": 554 5.7.1", byeTLS}, nil},
		{"three messages", []string{connect, tls13, client, "4Q2: client=" + bank, "4Q3: client=" + bank, byeTLS}, []string{"3 TLSv1.3"}},
		{"proxy filter", []string{connect, "NOQUEUE: client=" + bank, "NOQUEUE: client=" + bank, byeClear}, []string{"2 none"}},
		{"long queue id", []string{connect, "4PxyzW1bqYz3jQ5k: client=" + bank, byeClear}, []string{"1 none"}},
		{"a queue id that begins like a word", []string{connect, "connect1: client=" + bank, byeClear}, []string{"1 none"}},
		{"trusted", []string{connect, strings.Replace(tls13, "Anonymous", "Trusted", 1), client, byeTLS}, []string{"1 TLSv1.3 trusted"}},
		{"verified", []string{connect, strings.Replace(tls13, "Anonymous", "Verified", 1), client, byeTLS}, []string{"1 TLSv1.3 trusted"}},
		{"untrusted", []string{connect, strings.Replace(tls13, "Anonymous", "Untrusted", 1), client, byeTLS}, []string{"1 TLSv1.3"}},
		{"logged in", []string{connect, tls13, client + ", sasl_method=PLAIN, sasl_username=alice", byeTLS}, []string{"1 TLSv1.3 authenticated"}},
		{"logged in, with a name that lies", []string{connect, client + ", sasl_username=x, orig_client=y[1.2.3.4]", byeClear}, []string{"1 none authenticated"}},
		{"given back by a filter", []string{connect, client + ", orig_client=mx[198.51.100.1]", byeClear}, nil},
		{"port logging", []string{connect + ":4711", "4Q1: client=" + bank + ":4711", strings.Replace(byeClear, "] ", "]:4711 ", 1)}, []string{"1 none"}},
		{"Postfix before 3.0", []string{connect, client, "disconnect from " + bank}, []string{"1 none"}},
		{"STARTTLS after a first message", []string{connect, client, tls13, "4Q2: client=" + bank, byeTLS}, []string{"1 unknown (lines were lost meanwhile)", "1 TLSv1.3"}},
		{"STARTTLS that failed, then clear", []string{connect, client, strings.Replace(byeClear, " mail", " starttls=0/1 mail", 1)}, []string{"1 none"}},
		{"unknown protocol", []string{connect, strings.Replace(tls13, "TLSv1.3", "TLSv9", 1), client, byeTLS}, []string{"1 TLSv9"}},
		{"CRLF", []string{connect + "\r", tls13 + "\r", client + "\r", byeTLS + "\r"}, []string{"1 TLSv1.3"}},

		{"begins in the middle", []string{client, byeClear}, []string{"1 " + unknown + string(maillog.NoBegin) + ")"}},
		{"begins in the middle, TLS seen", []string{tls13, client, byeTLS}, []string{"1 TLSv1.3"}},
		{"ends in the middle", []string{connect, client}, []string{"1 " + unknown + string(maillog.NoEnd) + ")"}},
		{"ends in the middle, TLS seen", []string{connect, tls13, client}, []string{"1 TLSv1.3"}},
		{"the end is missing", []string{connect, client, connect, byeClear}, []string{"1 " + unknown + string(maillog.NoEnd) + ")"}},
		{"the TLS line is missing", []string{connect, client, byeTLS}, []string{"1 " + unknown + string(maillog.Contradicted) + ")"}},
		{"the TLS line is cut", []string{connect, tls13[:len(tls13)-60], client, byeTLS}, []string{"1 " + unknown + string(maillog.Lost) + ")"}},
		{"the TLS line is cut early", []string{connect, tls13[:30], client, byeClear}, []string{"1 " + unknown + string(maillog.Lost) + ")"}},
		{"the end is cut", []string{connect, client, byeTLS[:len(byeTLS)-35]}, []string{"1 " + unknown + string(maillog.Lost) + ")"}},
		{"two lines in one", []string{connect, "Anonymous TLS conNov 22 10:00:01 mx1 postfix/smtpd[8]: connect from unknown[192.0.2.1]", client, byeClear}, []string{"1 " + unknown + string(maillog.Lost) + ")"}},
		{"TLS of another client", []string{connect, strings.Replace(tls13, bank, "mx[198.51.100.1]", 1), client, byeTLS}, []string{"1 " + unknown + string(maillog.Mixed) + ")"}},
		{"another client without XCLIENT", []string{connect, tls13, "4Q1: client=mx[198.51.100.1]", byeTLS}, []string{"1 " + unknown + string(maillog.Mixed) + ")"}},
		{"another client by XCLIENT", []string{connect, tls13, "4Q1: client=mx[198.51.100.1]", strings.Replace(byeTLS, " starttls", " xclient=0/1 starttls", 1)}, []string{"1 TLSv1.3"}},
		{"TLS of the session before", []string{connect, tls13, "4Q1: client=other[198.51.100.1]", "disconnect from other[198.51.100.1] ehlo=1 mail=1 commands=2"}, []string{"1 " + unknown + string(maillog.Mixed) + ")"}},
		{"hostile words elsewhere", []string{connect, "NOQUEUE: reject: RCPT from " + bank + ": 554 x; helo=<" + tls13 + ">", client, byeClear}, []string{"1 none"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := readText(t, log(tt.messages...))
			var short []string
			for _, s := range got.sessions {
				_, s, _ = strings.Cut(s, "] ")
				short = append(short, strings.TrimSuffix(s, " mx1/postfix/smtpd"))
			}
			if diff := cmp.Diff(tt.want, short); diff != "" {
				t.Error(diff)
			}
			twice := readText(t, doubled(log(tt.messages...)))
			if !strings.Contains(tt.name, "proxy") && twice.String() != got.String() {
				t.Errorf("every line doubled: %s", twice)
			}
		})
	}
}

// TestCutLineOfTLS: wherever a line about TLS is cut, its session was not in clear.
func TestCutLineOfTLS(t *testing.T) {
	for n := range len(tls13) {
		got := readText(t, log(connect, tls13[:n], client, "disconnect from "+bank)).String()
		if strings.Contains(got, " none ") || !strings.Contains(got, bank) {
			t.Errorf("%q: %s", tls13[:n], got)
		}
	}
}

func doubled(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(line + line)
	}
	return b.String()
}

func TestInterleaved(t *testing.T) {
	other := "mx2.bank.example[2001:db8::25]"
	got := readText(t, strings.Join([]string{
		"Nov 22 10:00:00 mx1 postfix/smtpd[7]: " + connect,
		"Nov 22 10:00:00 mx1 postfix/smtpd[8]: connect from " + other,
		"Nov 22 10:00:01 mx1 postfix/smtpd[7]: " + tls13,
		"Nov 22 10:00:01 mx2 postfix/smtpd[7]: connect from unknown[192.0.2.99]",
		"Nov 22 10:00:01 mx1 postfix-mx1/smtpd[7]: connect from unknown[192.0.2.98]",
		"Nov 22 10:00:02 mx1 postfix/smtpd[8]: 4Q1: client=" + other,
		"Nov 22 10:00:02 mx2 postfix/smtpd[7]: 4Q9: client=unknown[192.0.2.99]",
		"Nov 22 10:00:02 mx1 postfix-mx1/smtpd[7]: 4Q8: client=unknown[192.0.2.98]",
		"Nov 22 10:00:02 mx1 postfix/smtpd[7]: 4Q2: client=" + bank,
		"Nov 22 10:00:03 mx1 postfix/smtpd[7]: " + byeTLS,
		"Nov 22 10:00:03 mx1 postfix/smtpd[8]: disconnect from " + other + " ehlo=1 commands=1",
		"Nov 22 10:00:03 mx2 postfix/smtpd[7]: disconnect from unknown[192.0.2.99] ehlo=1 commands=1",
		"Nov 22 10:00:03 mx1 postfix-mx1/smtpd[7]: disconnect from unknown[192.0.2.98] ehlo=1 commands=1",
	}, "\n"))
	want := []string{
		"2026-11-22T10:00:02Z mx2.bank.example[2001:db8::25] 1 none mx1/postfix/smtpd",
		"2026-11-22T10:00:02Z unknown[192.0.2.99] 1 none mx2/postfix/smtpd",
		"2026-11-22T10:00:02Z unknown[192.0.2.98] 1 none mx1/postfix-mx1/smtpd",
		"2026-11-22T10:00:02Z mx1.bank.example[192.0.2.10] 1 TLSv1.3 mx1/postfix/smtpd",
	}
	if diff := cmp.Diff(want, got.sessions); diff != "" {
		t.Error(diff)
	}
	var names []string
	for _, l := range got.stats.Listeners {
		names = append(names, l.Identity().String())
	}
	if diff := cmp.Diff([]string{"listener:log/mx1/postfix-mx1/smtpd", "listener:log/mx1/postfix/smtpd", "listener:log/mx2/postfix/smtpd"}, names); diff != "" {
		t.Error(diff)
	}
}

// While lines are lost, nothing that is missing proves anything.
func TestGaps(t *testing.T) {
	for _, gap := range []string{
		"mx1 systemd-journald[123]: Suppressed 42 messages from postfix@-.service",
		"mx1 rsyslogd[55]: imjournal: 5000 messages lost due to rate-limiting (20000 allowed within 600 seconds)",
		"mx1 systemd-journald[123]: Forwarding to syslog missed 3 messages.",
		"mx1 rsyslogd: imuxsock[pid 7]: begin to drop messages due to rate-limiting",
	} {
		text := log(connect, client) + "Nov 22 10:00:01 " + gap + "\n" + strings.Join(strings.SplitAfter(log("", "", byeClear), "\n")[2:], "")
		got := readText(t, text)
		if len(got.sessions) != 1 || !strings.Contains(got.sessions[0], string(maillog.Lost)) || got.stats.Gaps != 1 {
			t.Errorf("%s: %v, %d gaps", gap, got.sessions, got.stats.Gaps)
		}
		elsewhere := strings.Replace(text, gap, strings.Replace(gap, "mx1", "mx2", 1), 1)
		if got := readText(t, elsewhere); !strings.Contains(got.String(), " none ") {
			t.Errorf("on another host: %v", got)
		}
	}
	// A peer cannot make such a note.
	if got := readText(t, log(connect, client, "warning: helo=<Suppressed rate-limiting>", byeClear)); got.stats.Gaps != 0 || !strings.Contains(got.String(), " none ") {
		t.Errorf("%v", got)
	}
}

// Lines that come more than an hour later are of another session.
func TestStaleProcess(t *testing.T) {
	for at, want := range map[string]string{"10:59:59": " none ", "11:00:01": string(maillog.NoBegin)} {
		at = "Nov 22 " + at + " mx1 postfix/smtpd[7]: "
		got := readText(t, "Nov 22 10:00:00 mx1 postfix/smtpd[7]: "+connect+"\n"+at+client+"\n"+at+byeClear+"\n")
		if len(got.sessions) != 1 || !strings.Contains(got.String(), want) {
			t.Errorf("%s: %v", at, got)
		}
	}
}

// TestLongSession: a session may last for hours, if it is not silent for one.
func TestLongSession(t *testing.T) {
	var text strings.Builder
	for n, message := range []string{connect, client, "4Q2: client=" + bank, "4Q3: client=" + bank, byeClear} {
		fmt.Fprintf(&text, "Nov 22 1%d:%02d:00 mx1 postfix/smtpd[7]: %s\n", n*50/60, n*50%60, message)
	}
	if got := readText(t, text.String()); len(got.sessions) != 1 || !strings.Contains(got.String(), " 3 none ") {
		t.Errorf("%v", got)
	}
}

// A part of a log that comes again in the middle of a session changes nothing.
func TestPartAgain(t *testing.T) {
	lines := strings.SplitAfter(log(connect, client, byeClear, connect, "4Q2: client="+bank, "4Q3: client="+bank, byeClear), "\n")
	want := readText(t, strings.Join(lines, ""))
	for from := range len(lines) - 1 {
		for to := from + 1; to < len(lines); to++ {
			text := strings.Join(lines[:to], "") + strings.Join(lines[from:], "")
			got := readText(t, text)
			known := slices.DeleteFunc(got.sessions, func(s string) bool { return strings.Contains(s, "unknown (") })
			slices.Sort(known)
			if diff := cmp.Diff(want.sessions, slices.Compact(known)); diff != "" {
				t.Errorf("%s in\n%s", diff, text)
			}
		}
	}
}

func TestCounts(t *testing.T) {
	text := log(connect, tls13, client, byeTLS, connect, "SSL_accept error from "+bank+": -1", "lost connection after STARTTLS from "+bank,
		"disconnect from "+bank+" ehlo=1 starttls=0/1 commands=1/2", "4Q", "connect fr", "4Q5: client=nobody") +
		"22 10:00:00 mx1 postfix/smtpd[7]: cut at its beginning\nNov 22 10:00:00 mx1 postfix/smtpd[]: no process\n" +
		"Nov 22 10:00:00 mx1 postfix/qmgr[9]: 4Q1: from=<a@/smtpd[7]: >\n"
	got := readText(t, text)
	s := got.stats
	if s.Lines != 14 || s.Smtpd != 13 || s.Broken != 4 {
		t.Errorf("%d lines, %d of smtpd, %d broken", s.Lines, s.Smtpd, s.Broken)
	}
	if l := s.Listeners[0]; l.Connects != 2 || l.TLS != 1 || l.StartTLS != 1 || l.Messages != 1 {
		t.Errorf("%+v", l)
	}
	if diff := cmp.Diff([]string{"2026-11-22T10:00:05Z 192.0.2.10"}, got.failures); diff != "" {
		t.Error(diff)
	}
	if b, e := s.Began.Format("15:04:05"), s.Ended.Format("15:04:05"); b != "10:00:00" || e != "10:00:10" {
		t.Errorf("from %s to %s", b, e)
	}
}

// TestOneLine: one line is the first and the last, and a log with lines that can be read is
// one, whatever else is in it.
func TestOneLine(t *testing.T) {
	got := readText(t, strings.Replace(log(connect), "[7]", "", 1)+log(connect))
	if s := got.stats; s.Began.IsZero() || !s.Began.Equal(s.Ended) || len(s.Problems) > 0 {
		t.Errorf("%+v", s)
	}
}

// A clock that steps back in the middle of a session loses nothing.
func TestClockStep(t *testing.T) {
	var b strings.Builder
	for n, stamp := range []string{"10:00:00", "10:00:01", "09:10:02", "09:10:03"} {
		b.WriteString("Nov 22 " + stamp + " mx1 postfix/smtpd[7]: " + []string{connect, tls13, client, byeTLS}[n] + "\n")
	}
	for n := range 3 {
		b.WriteString(at(fmt.Sprintf("Nov 22 09:2%d:00", n)))
	}
	got := readText(t, b.String())
	if len(got.sessions) != 4 || strings.Contains(got.String(), "unknown") || got.stats.Repeated != 0 {
		t.Errorf("%v, %d repeated", got, got.stats.Repeated)
	}
}

// What a log server writes in place of equal lines spoils no session.
func TestRepeatedMessage(t *testing.T) {
	const again = "Nov 22 10:00:02 mx1 last message repeated 4000000000 times\n" +
		"Nov 22 10:00:02 mx1 postfix/smtpd[7]: message repeated 2 times: [ NOQUEUE: client=" + bank + "]\n"
	lines := strings.SplitAfterN(log(connect, tls13, client, byeTLS), "\n", 4)
	got := readText(t, strings.Join(slices.Insert(lines, 3, again), ""))
	if len(got.sessions) != 1 || !strings.Contains(got.String(), " 1 TLSv1.3") || got.stats.Broken != 0 {
		t.Errorf("%v, %d broken", got, got.stats.Broken)
	}
}

// A note that lines were lost may come after the session.
func TestGapAfterSession(t *testing.T) {
	old := log(connect, client, "disconnect from "+bank)
	note := "mx1 rsyslogd-2177: imuxsock lost 123 messages from pid 7 due to rate-limiting\n"
	for stamp, want := range map[string]string{"Nov 22 10:00:05 ": string(maillog.Lost), "Nov 22 10:00:50 ": " none "} {
		text := old + stamp + note
		if want == " none " { // something must come for time to pass
			text = old + strings.ReplaceAll(at("Nov 22 10:00:40"), "[7]", "[8]") + stamp + note
		}
		if got := readText(t, text); !strings.Contains(got.sessions[0], want) {
			t.Errorf("%s: %v", stamp, got)
		}
	}
	// The end is its last line, however long nothing was logged before.
	late := strings.Replace(old, "10:00:02", "10:01:00", 1) + "Nov 22 10:01:05 " + note
	if got := readText(t, late); !strings.Contains(got.String(), string(maillog.Lost)) {
		t.Errorf("%v", got)
	}
	// With a summary nothing is in doubt.
	if got := readText(t, log(connect, client, byeClear)+"Nov 22 10:00:05 "+note); !strings.Contains(got.String(), " none ") {
		t.Errorf("%v", got)
	}
}

// Counts of lost lines are since the logger began: only a new one is news.
func TestLostCounts(t *testing.T) {
	session := log(connect, client, "disconnect from "+bank)
	for note, lost := range map[string]bool{
		"syslog-ng[9]: Log statistics; processed='src.internal(s#1)=5', dropped='dst.file(d_mail#0)=12', queued='x=0'": true,
		"syslog-ng[9]: Log statistics; processed='src.internal(s#1)=5', dropped='dst.file(d_mail#0)=1'":                true,
		"syslog-ng[9]: Log statistics; processed='src.internal(s#1)=5', dropped='dst.file(d_mail#0)=0'":                false,
		"rsyslogd-pstats: imuxsock: origin=imuxsock submitted=7 ratelimit.discarded=5 ratelimit.numratelimiters=2":     true,
		"rsyslogd-pstats: main Q: origin=core.queue size=0 enqueued=9 discarded.full=0 discarded.nf=0":                 false,
		"journal: Suppressed 4499 messages from /system.slice/postfix.service":                                         true,
		"rsyslogd-2177: imuxsock begins to drop messages from pid 7 due to rate-limiting":                              true,
	} {
		line := "Nov 22 %s mx1 " + note + "\n"
		in := strings.Replace(session, "\n", "\n"+fmt.Sprintf(line, "10:00:00"), 1)
		if got := readText(t, in); strings.Contains(got.String(), string(maillog.Lost)) != lost {
			t.Errorf("%s: %v", note, got)
		}
		before := fmt.Sprintf(line, "09:00:00")
		if got := readText(t, before+in); strings.Contains(note, "=") && strings.Contains(got.String(), string(maillog.Lost)) {
			t.Errorf("%s, the same count as before: %v", note, got)
		}
	}
}
