package maillog_test

import (
	"bytes"
	"compress/bzip2"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"tlsratchet/internal/maillog"
)

var delivery = log(connect, tls13, client, byeTLS)

const delivered = "2026-11-22T10:00:02Z mx1.bank.example[192.0.2.10] 1 TLSv1.3 mx1/postfix/smtpd"

func gzipped(t testing.TB, text string, written time.Time) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.ModTime = written
	pack(t, w, text)
	return b.Bytes()
}

func pack(t testing.TB, w io.WriteCloser, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// compressed returns the delivery in all forms. The standard library has no
// writer of bzip2: this is the output of bzip2(1).
func compressed(t testing.TB) map[string][]byte {
	t.Helper()
	var z, x bytes.Buffer
	zw, err := zstd.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	pack(t, zw, delivery)
	xw, err := xz.NewWriter(&x)
	if err != nil {
		t.Fatal(err)
	}
	pack(t, xw, delivery)
	bz, err := os.ReadFile("testdata/delivery.bz2")
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"plain": []byte(delivery), "gzip": gzipped(t, delivery, time.Time{}), "zstd": z.Bytes(), "xz": x.Bytes(), "bzip2": bz,
	}
}

// The content of a file shows what it is compressed with.
func TestCompressed(t *testing.T) {
	for name, data := range compressed(t) {
		t.Run(name, func(t *testing.T) {
			if got := read(t, options(), file(t, "mail.log", data, now)); got.String() != delivered {
				t.Errorf("file: %s", got)
			}
			if got := read(t, options(), maillog.Source{Name: "-", Stream: bytes.NewReader(data)}); got.String() != delivered {
				t.Errorf("stream: %s", got)
			}
			if name == "plain" {
				return
			}
			cut := read(t, options(), file(t, "cut", data[:len(data)-9], now))
			if len(cut.stats.Problems) != 1 || !strings.Contains(cut.stats.Problems[0].Error(), "read as far as it goes") {
				t.Errorf("cut short: %v", cut.stats.Problems)
			}
		})
	}
	// So that testdata/delivery.bz2 stays the delivery.
	data, _ := os.ReadFile("testdata/delivery.bz2")
	if text, err := io.ReadAll(bzip2.NewReader(bytes.NewReader(data))); err != nil || string(text) != delivery {
		t.Errorf("%v\n%s", err, hex.Dump(text))
	}
}

// iso and journal are the delivery in other forms.
func iso(layout string) string {
	return rewritten(func(at time.Time, rest string) string {
		return at.In(time.FixedZone("", 2*3600)).Format(layout) + " " + rest
	})
}

func journal(format string) string {
	return rewritten(func(at time.Time, rest string) string {
		_, message, _ := strings.Cut(rest, ": ")
		return fmt.Sprintf(format, at.UnixMicro(), message)
	})
}

func rewritten(form func(at time.Time, rest string) string) string {
	var b strings.Builder
	for line := range strings.Lines(delivery) {
		at, err := time.Parse(time.Stamp, line[:len(time.Stamp)])
		if err != nil {
			panic(err)
		}
		at = at.AddDate(2026, 0, 0)
		b.WriteString(form(at, strings.TrimSuffix(line[len(time.Stamp)+1:], "\n")) + "\n")
	}
	return b.String()
}

func TestForms(t *testing.T) {
	for name, text := range map[string]string{
		"RFC 3339":                iso("2006-01-02T15:04:05.000000-07:00"),
		"RFC 3339, no fraction":   iso("2006-01-02T15:04:05-07:00"),
		"short-iso":               iso("2006-01-02T15:04:05-0700"),
		"short-iso-precise":       iso("2006-01-02T15:04:05.000000-0700"),
		"short-iso, with a title": "-- Journal begins at Mon 2026-11-02 10:00:00 UTC. --\n" + iso("2006-01-02T15:04:05-0700") + "-- Boot 0123 --\n",
		"JSON":                    journal(`{"__REALTIME_TIMESTAMP":"%d","_HOSTNAME":"mx1","SYSLOG_IDENTIFIER":"postfix/smtpd","_PID":"7","MESSAGE":%q}`),
		"JSON, other order":       journal(`{ "_PID" : "99", "SYSLOG_PID":"7","N":null,"A":[["x"],"y"],"SYSLOG_IDENTIFIER":"postfix\/smtpd","__REALTIME_TIMESTAMP" : "%d" , "MESSAGE":%q, "_HOSTNAME":"mx1", "X":"/smtpd" }`),
		"rubbish around":          "\x00\xff\xfe\n\n" + strings.Repeat("x", 70000) + "\n" + delivery + strings.Repeat("\x80", 300),
	} {
		t.Run(name, func(t *testing.T) {
			if got := readText(t, text); got.String() != delivered {
				t.Errorf("%s\n%s", got, text[:min(len(text), 600)])
			}
		})
	}
}

// journald writes what is not UTF-8 as an array of bytes.
func TestJournalBytes(t *testing.T) {
	text := journal(`{"__REALTIME_TIMESTAMP":"%d","_HOSTNAME":"mx1","SYSLOG_IDENTIFIER":"postfix/smtpd","SYSLOG_PID":"7","MESSAGE":%q}`)
	var codes []string
	for _, c := range []byte("4Q1: client=mx\xff[192.0.2.10]") {
		codes = append(codes, fmt.Sprint(c))
	}
	text = strings.Replace(text, fmt.Sprintf("%q", client), "["+strings.Join(codes, ",")+"]", 1)
	text = strings.ReplaceAll(text, "mx1.bank.example", `mx\u00ff`)
	if got := readText(t, text); len(got.sessions) != 1 || !strings.Contains(got.String(), "mx\xff[192.0.2.10] 1 unknown") {
		t.Errorf("%q", got)
	}
	broken := readText(t, strings.Replace(text, `"SYSLOG_PID":"7"`, `"SYSLOG_PID":"-"`, 1)+`{"SYSLOG_IDENTIFIER":"postfix/smtpd","_HO`)
	if broken.stats.Broken != 2 {
		t.Errorf("%d broken", broken.stats.Broken)
	}
}

// at makes a delivery at a time without a year, "Dec 31 23:59:58".
func at(stamp string) string {
	var b strings.Builder
	for _, m := range []string{connect, tls13, strings.Replace(client, "4Q1", "Q"+strings.ReplaceAll(strings.ReplaceAll(stamp, " ", ""), ":", ""), 1), byeTLS} {
		fmt.Fprintf(&b, "%s mx1 postfix/smtpd[7]: %s\n", stamp, m)
	}
	return b.String()
}

func TestYear(t *testing.T) {
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 12, 0, 0, 0, time.UTC) }
	turn := at("Dec 30 10:00:00") + at("Dec 31 23:59:59") + at("Jan  1 00:00:00") + at("Jan  2 10:00:00")
	var years strings.Builder
	for _, m := range []string{"Mar", "Jun", "Oct", "Dec", "Feb", "Jul", "Dec", "Jan"} {
		years.WriteString(at(m+"  1 10:00:00") + strings.Repeat(m+"  1 10:00:00 mx1 postfix/qmgr[1]: 4Q1: removed\n", 20))
	}
	for _, tt := range []struct {
		name string
		text string
		gz   bool
		when time.Time // the file was last written
		year int
		want string // days
	}{
		{"of the file", at("Nov  2 10:00:00"), false, day(2025, 11, 3), 0, "2025-11-02"},
		{"of the year before", at("Dec 31 10:00:00"), false, day(2026, 1, 3), 0, "2025-12-31"},
		{"New Year in the middle", turn, false, day(2026, 1, 2), 0, "2025-12-30 2025-12-31 2026-01-01 2026-01-02"},
		{"New Year in the middle, copied later", turn, false, day(2026, 5, 2), 0, "2025-12-30 2025-12-31 2026-01-01 2026-01-02"},
		{"New Year in the middle, compressed", turn, true, day(2026, 1, 2), 0, "2025-12-30 2025-12-31 2026-01-01 2026-01-02"},
		{"late lines", at("Jan  1 00:00:00") + at("Dec 31 23:59:59") + at("Jan  1 00:00:01"), false, day(2026, 1, 2), 0, "2026-01-01 2025-12-31 2026-01-01"},
		{"years in one file", years.String(), false, day(2026, 1, 6), 0, "2024-03-01 2024-06-01 2024-10-01 2024-12-01 2025-02-01 2025-07-01 2025-12-01 2026-01-01"},
		{"as asked", at("Nov  2 10:00:00"), false, day(2026, 11, 3), 2024, "2024-11-02"},
		{"as asked, New Year in the middle", turn, false, day(2026, 11, 3), 2023, "2023-12-30 2023-12-31 2024-01-01 2024-01-02"},
		{"leap day", at("Feb 29 10:00:00"), false, day(2024, 3, 3), 0, "2024-02-29"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, written := []byte(tt.text), tt.when
			if tt.gz { // a copy has another time, but gzip keeps it
				data, written = gzipped(t, tt.text, tt.when), now
			}
			o := options()
			o.Year = tt.year
			var days []string
			for _, s := range read(t, o, file(t, "mail.log", data, written)).sessions {
				days = append(days, s[:10])
			}
			if diff := cmp.Diff(tt.want, strings.Join(days, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLocation(t *testing.T) {
	o := options()
	o.Now = o.Now.In(time.FixedZone("", -5*3600))
	if got := read(t, o, stream(at("Nov 21 23:30:00"))); !strings.HasPrefix(got.String(), "2026-11-22T04:30:00Z") {
		t.Error(got)
	}
	if got := read(t, o, stream(iso("2006-01-02T15:04:05Z07:00"))); got.String() != delivered {
		t.Error(got)
	}
}

func TestFuture(t *testing.T) {
	got := readText(t, strings.ReplaceAll(iso("2006-01-02T15:04:05-07:00"), "2026-11-22", "2026-11-25"))
	if len(got.sessions) != 0 || got.stats.Future != 1 {
		t.Errorf("%v, %d in the future", got, got.stats.Future)
	}
	if got := readText(t, strings.ReplaceAll(iso("2006-01-02T15:04:05-07:00"), "2026-11-22", "2026-11-24")); len(got.sessions) != 1 {
		t.Error("tomorrow is not the future: clocks differ")
	}
}

// A session may begin in one file and end in the next, whatever their order on
// the command line.
func TestRotated(t *testing.T) {
	lines := strings.SplitAfter(log(connect, client, byeClear, connect, tls13, "4Q2: client="+bank, byeTLS), "\n")
	a := file(t, "mail.log.2.gz", gzipped(t, strings.Join(lines[:2], ""), now), now)
	b := file(t, "mail.log.1", []byte(strings.Join(lines[2:5], "")), now)
	c := file(t, "mail.log", []byte(strings.Join(lines[5:], "")), now)
	want := []string{"2026-11-22T10:00:01Z " + bank + " 1 " + clearFound, "2026-11-22T10:00:05Z " + bank + " 1 TLSv1.3 mx1/postfix/smtpd"}
	for _, order := range [][]maillog.Source{{a, b, c}, {c, b, a}, {b, c, a}, {c, a, b}} {
		if diff := cmp.Diff(want, read(t, options(), order...).sessions); diff != "" {
			t.Error(diff)
		}
	}
	again := read(t, options(), a, b, a, c)
	if diff := cmp.Diff(want, again.sessions); diff != "" || len(again.stats.Problems) != 1 {
		t.Errorf("%s%v", diff, again.stats.Problems)
	}
}

func TestBadSources(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	_, err := maillog.Read(context.Background(), []maillog.Source{{Name: missing}, {Name: dir}, stream(delivery)}, options(), sink())
	want := missing + ": no such file or directory\n" + dir + ": is a directory: name the logs in it"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	for name, data := range map[string]string{
		"this is UTF-16: pass the output of iconv":           "\xff\xfeN\x00o\x00v\x00 \x002\x002\x00\n\x00",
		"no line in its first 64 KiB has a date":             strings.Repeat("\x89PNG\r\n\x1a\n", 100),
		"this is a file of the journal":                      "LPKSHHRH\x00\x00",
		"this is an array of JSON":                           `[{"MESSAGE":"connect from a[192.0.2.1]"}]`,
		"these are times since the boot":                     "[ 1234.567890] mx1 postfix/smtpd[7]: " + connect + "\n",
		"these are lines of Postfix without a date":          "postfix/smtpd[7]: " + connect + "\n",
		"this is an answer of Loki's API":                    `{"streams":[{"stream":{},"values":[["1","x"]]}]}`,
		"this is journalctl -o verbose: pass -o json":        "Sun 2026-11-22 10:00:00.1 UTC [s=1;i=2]\n    PRIORITY=6\n    MESSAGE=" + connect + "\n",
		"these lines of Postfix have no process number":      "Nov 22 10:00:00 mx1 postfix/smtpd: " + connect + "\n",
		"this is a log of Exim, not of Postfix":              "2026-11-22 10:00:00 1abc <= a@b\n2026-11-22 10:00:00 1abc => c@d\n2026-11-22 10:00:00 1abc Completed\n",
		"an answer of Loki's API: pass the output of logcli": `{"status":"success","data":{"result":[{"stream":{},"values":[["1","x"]]}]}}`,
		"this is a tar archive: pass the output of tar -xOf": "mail.log" + strings.Repeat("\x00", 249) + "ustar\x0000" + strings.Repeat("\x00", 300),
		"a tar archive: pass the output of tar -xOf":         "März.log" + strings.Repeat("\x00", 248) + "ustar\x0000" + strings.Repeat("\x00", 300),
		"these lines have the unit and not the program":      "Nov 22 10:00:00 mx1 postfix@-.service[7]: " + connect + "\n",
		"this is a log of sendmail, not of Postfix":          "Nov 22 10:00:00 mx1 sendmail[7]: 4Q1: from=<a@b>\n",
		"a log of Exim, not of Postfix":                      "Nov 22 10:00:00 mx1 exim[7]: 1abc <= a@b\n",
		"this is a zip archive: pass the output of unzip -p": "PK\x03\x04",
	} {
		got := read(t, options(), file(t, "odd", []byte(data), now))
		if len(got.stats.Problems) != 1 || !strings.Contains(got.stats.Problems[0].Error(), name) {
			t.Errorf("%s: %v", name, got.stats.Problems)
		}
	}
	if got := read(t, options(), file(t, "empty", nil, now)); len(got.stats.Problems) != 0 || got.stats.Lines != 0 {
		t.Errorf("empty: %+v", got.stats)
	}
	if _, err := maillog.Read(context.Background(), []maillog.Source{file(t, "head", []byte("\x1f\x8b\x08"), now)}, options(), sink()); err == nil || !strings.Contains(err.Error(), "/head: gzip: ") {
		t.Errorf("no more than a magic number: %v", err)
	}
}

func sink() maillog.Sink {
	return maillog.Sink{Deliveries: nobody{}, Session: func(*maillog.Session) {}}
}

// Lines longer than a chunk are left out; those that cross chunks are not.
func TestChunks(t *testing.T) {
	filler := "Nov 22 10:00:00 mx1 postfix/qmgr[9]: " + strings.Repeat("x", 5000) + "\n"
	tooLong := strings.Repeat("y", 3<<20) + "/smtpd[7]: " + strings.Repeat("y", 10) + "\n"
	var b strings.Builder
	var want []string
	for n := range 2000 {
		stamp := fmt.Sprintf("Nov 22 11:%02d:%02d", n/60, n%60)
		b.WriteString(at(stamp) + filler)
		want = append(want, fmt.Sprintf("2026-11-22T11:%02d:%02dZ %s 1 TLSv1.3 mx1/postfix/smtpd", n/60, n%60, bank))
		if n == 700 || n == 701 {
			b.WriteString(tooLong)
		}
	}
	var progress maillog.Progress
	o := options()
	o.Progress = &progress
	text := b.String()
	got := read(t, o, file(t, "mail.log", []byte(text), now))
	if diff := cmp.Diff(want, got.sessions); diff != "" {
		t.Error(diff)
	}
	if s := got.stats; s.Lines != 2000*5+2 || s.Broken != 2 {
		t.Errorf("%d lines, %d broken", s.Lines, s.Broken)
	}
	if n := progress.Lines.Load(); n < 8192 {
		t.Errorf("progress of %d lines", n)
	}
	if n := int64(len(text)); progress.Total.Load() != n || progress.Bytes.Load() != n {
		t.Errorf("progress %d of %d, want %d", progress.Bytes.Load(), progress.Total.Load(), n)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	endless, w := io.Pipe()
	go func() {
		for {
			if _, err := io.WriteString(w, delivery); err != nil {
				return
			}
		}
	}()
	s := sink()
	s.Session = func(*maillog.Session) { cancel() }
	_, err := maillog.Read(ctx, []maillog.Source{{Name: "-", Stream: endless}}, options(), s)
	if err != context.Canceled {
		t.Error(err)
	}
	w.Close()
}

// A year that was guessed is held against the message ids that Postfix made.
func TestYearContradicted(t *testing.T) {
	id := func(stamp string) string {
		return at("Nov  2 10:00:00") + "Nov  2 10:00:01 mx1 postfix/cleanup[9]: 4Q1: message-id=<" + stamp + ".4Q1@mx1.example>\n"
	}
	for text, want := range map[string]string{
		id("20231102100001"): "its times have no year and were read as of 2026, but a message id in it is of 2023: use --year",
		id("20261102100001"): "",
		strings.Replace(id("20231102100001"), ".4Q1@", ".4Q2@", 1):       "", // somebody else's
		strings.ReplaceAll(id("20231102100001"), "Nov  2", "2026-11-02"): "",
	} {
		got := read(t, options(), file(t, "mail.log", []byte(text), now))
		if problems := fmt.Sprint(got.stats.Problems); want == "" != (problems == "[]") || !strings.Contains(problems, want) {
			t.Errorf("%s: %s", text, problems)
		}
	}
	if got := read(t, options(), file(t, "mail.log", []byte(id("20261102100001")), now)); len(got.stats.Years) != 1 || got.stats.Years[0] != 2026 {
		t.Errorf("years %v", got.stats.Years)
	}
}
