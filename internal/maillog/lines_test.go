package maillog

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// pieces are what lines are made of, good and bad.
var pieces = []string{
	"Nov 22 10:00:00", "Nov 22 10:00:01", "Nov 32 10:00:00", "2026-11-22T10:00:00+00:00", "Nov 22", " ", " ", " ", "  ",
	"mx1", "mx2", "postfix/smtpd[7]:", "postfix/smtpd[8]:", "a/smtpd[7]", "/smtpd[", "/smtpd[]:", "postfix/smtp[7]:", "postfix/smtpd",
	"rsyslogd:", "systemd-journald[1]:", "Suppressed ", "rate-limiting", "x",
	"connect from a[192.0.2.1]", "4Q1: client=a[192.0.2.1]", "disconnect from a[192.0.2.1] ehlo=1 commands=1", "connect fr", "\r",
}

func drawLine(t *rapid.T) string {
	if rapid.Bool().Draw(t, "good") {
		return fmt.Sprintf("Nov 22 10:00:0%d mx%d %s %s", rapid.IntRange(0, 9).Draw(t, "second"), rapid.IntRange(1, 2).Draw(t, "host"),
			rapid.SampledFrom(pieces).Draw(t, "tag"), rapid.SampledFrom(pieces).Draw(t, "message"))
	}
	line := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8).Draw(t, "pieces"), "")
	// The time of a container, then that of the line: see TestReplayForms. Two programs: of
	// some forms the first counts.
	if strings.Count(line, "10:00:0") > 1 || strings.Count(line, "]:") > 1 {
		return "x"
	}
	return line
}

// The form of lines as the documentation has it, read by a regular expression:
// slow, and plain to see.
var (
	timeForm = `^(?:[A-Z][a-z]{2} [ 0-3][0-9] [0-9:]{8}|[0-9]{4}-[0-9:T+-]{20}) `
	anyLine  = regexp.MustCompile(timeForm + `(?s)(.*)$`)
	ofSmtpd  = regexp.MustCompile(`^([^ ]+ [^ ]*?/smtpd)\[(.*)$`)
	process7 = regexp.MustCompile(`(?s)^([0-9]{1,9})\]: (.*)$`)
)

// model reads a line as the package promises to.
func model(line string) (source, pid, message string, smtpd, broken bool) {
	c := clock{loc: time.UTC, year: 2026}
	line = strings.TrimLeft(line, " ")
	_, _, ok := c.read([]byte(line))
	found := anyLine.FindStringSubmatch(line)
	if !ok || found == nil {
		odd := strings.Contains(line, "/smtpd[")
		return "", "", "", odd, odd
	}
	of := ofSmtpd.FindStringSubmatch(found[1])
	if of == nil {
		return "", "", "", false, false
	}
	p := process7.FindStringSubmatch(of[2])
	if p == nil {
		return "", "", "", true, true
	}
	return of[1], p[1], p[2], true, false
}

// What is found in lines is what a slow reader finds, whatever lines came
// before.
func TestLinesLikeModel(test *testing.T) {
	rapid.Check(test, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.Custom(drawLine), 1, 12).Draw(t, "lines")
		c := parsed(test, []byte(strings.Join(lines, "\n")+"\n"))
		var want []string
		var ofSmtpd, broken int64
		for _, line := range lines {
			source, pid, message, is, bad := model(line)
			if is {
				ofSmtpd++
			}
			if bad {
				broken++
			}
			if !is || bad {
				continue
			}
			e := event{record: record{program: smtpd, message: []byte(strings.TrimSuffix(message, "\r"))}}
			if !e.read(new(Stats)) {
				continue
			}
			if e.kind == kindBroken {
				broken++
			}
			want = append(want, fmt.Sprintf("%d %s %s", e.kind, source, pid))
		}
		var got []string
		for _, e := range c.events {
			if e.kind != kindGap && e.kind != kindDelivery {
				got = append(got, fmt.Sprintf("%d %s %d", e.kind, e.source, e.pid))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || c.stats.Smtpd != ofSmtpd || c.stats.Broken != broken || c.stats.Lines != int64(len(lines)) {
			t.Fatalf("%s%d lines, %d of smtpd (want %d), %d broken (want %d)\n%q", diff, c.stats.Lines, c.stats.Smtpd, ofSmtpd, c.stats.Broken, broken, lines)
		}
	})
}

// counts is what was found in a text.
func counts(t testing.TB, in io.Reader) string {
	t.Helper()
	messages := 0
	s, err := Read(context.Background(), []Source{{Name: "-", Stream: in}},
		Options{Now: time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC)},
		Sink{Deliveries: &deliveries{}, Session: func(s *Session) { messages += s.Messages }})
	if err != nil || len(s.Problems) > 0 {
		t.Fatal(err, s.Problems)
	}
	return fmt.Sprintf("%d lines, %d of smtpd, %d broken, %d messages", s.Lines, s.Smtpd, s.Broken, messages)
}

// padded is a delivery, with a line of the given length in the middle of it: of
// another program.
func padded(n int) []byte {
	const session = "Nov 22 10:00:00 mx1 postfix/smtpd[7]: connect from a[192.0.2.1]\n" +
		"Nov 22 10:00:01 mx1 postfix/smtpd[7]: 4Q1: client=a[192.0.2.1]\n"
	const other = "Nov 22 10:00:01 mx1 postfix/qmgr[9]: "
	const bye = "Nov 22 10:00:02 mx1 postfix/smtpd[7]: disconnect from a[192.0.2.1] ehlo=1 commands=1\n"
	return []byte(session + other + strings.Repeat("x", n-len(other)-1) + "\n" + bye)
}

// Lines are whole wherever a read ends, up to the longest; of those that are
// longer one is lost, and no more.
func TestLongLines(t *testing.T) {
	for n, broken := range map[int]int{
		100: 0, readSize - 200: 0, readSize - 1: 0, readSize: 0, readSize + 1: 0, 2*readSize + 7: 0, longestLine - 1: 0, longestLine: 0,
		longestLine + 1: 1, longestLine + readSize: 1, 3*longestLine + 5: 1,
	} {
		text := padded(n)
		want := fmt.Sprintf("4 lines, 3 of smtpd, %d broken, 1 messages", broken)
		if got := counts(t, bytes.NewReader(text)); got != want {
			t.Errorf("a line of %d bytes: %s, want %s", n, got, want)
		}
		if n > 2*readSize {
			continue
		}
		if got := counts(t, iotest.HalfReader(bytes.NewReader(text))); got != want {
			t.Errorf("a line of %d bytes, halved: %s, want %s", n, got, want)
		}
	}
	if got := counts(t, iotest.OneByteReader(bytes.NewReader(padded(200)))); got != "4 lines, 3 of smtpd, 0 broken, 1 messages" {
		t.Errorf("byte by byte: %s", got)
	}
}

// More lines of the same need no more memory: what is allocated for a line is
// nothing.
func TestNothingForALine(t *testing.T) {
	one := padded(120)
	allocated := func(times int) float64 {
		text := bytes.Repeat(one, times)
		return testing.AllocsPerRun(2, func() { counts(t, bytes.NewReader(text)) })
	}
	few, many := allocated(100), allocated(20_000)
	if many > few+400 { // 80,000 lines, 30 chunks
		t.Errorf("%v allocations for 400 lines, %v for 80,000", few, many)
	}
}

// TestNewYear: lines that are read as they are written are of the year that is
// nearest, also where a reader begins with lines of before the New Year.
func TestNewYear(t *testing.T) {
	now := time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC)
	line := func(at string) []byte { return []byte(at + " mx postfix/smtp[7]: x") }
	l := NewLines(func() time.Time { return now })
	for _, tt := range []struct {
		now  time.Time
		line string
		want int
	}{
		{now, "Dec 31 23:58:00", 2026},
		{now.Add(time.Hour), "Dec 31 23:59:00", 2026},
		{now.Add(time.Hour), "Jan  1 00:30:00", 2027},
		{now.Add(time.Hour), "Dec 31 23:59:59", 2026},
		{now.Add(24 * time.Hour), "Jan  1 00:31:00", 2027},
		{now, "Jan  1 00:00:01", 2027},
		{now.AddDate(0, 6, 0), "Jul  1 00:00:01", 2027},
	} {
		now = tt.now
		if got, ok := l.Read(line(tt.line)); !ok || got.At.UTC().Year() != tt.want {
			t.Errorf("%s, read on %s: %s, want %d", tt.line, tt.now, got.At, tt.want)
		}
	}
	now = time.Date(2027, 1, 1, 0, 10, 0, 0, time.UTC)
	l = NewLines(func() time.Time { return now })
	for text, want := range map[string]int{"Dec 31 23:59:00": 2026, "Jan  1 00:09:00": 2027} {
		if got, ok := l.Read(line(text)); !ok || got.At.UTC().Year() != want {
			t.Errorf("%s, read on %s: %s, want %d", text, now, got.At, want)
		}
	}
}
