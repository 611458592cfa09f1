package maillog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/maillog"
)

// golden holds a text against a file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Error(diff)
	}
}

func TestHostile(t *testing.T) {
	data, err := os.ReadFile("testdata/hostile.log")
	if err != nil {
		t.Fatal(err)
	}
	got := readText(t, string(data))
	s := got.stats
	golden(t, "hostile.golden", fmt.Sprintf("%s\n\n%d lines, %d of smtpd, %d broken\n", got, s.Lines, s.Smtpd, s.Broken))
}

// What is nested in JSON is read once, not once for each level. A limit of time
// here would only measure the machine: with one reading for each level this takes
// minutes.
func TestNestedJSON(t *testing.T) {
	const deep = 9990 // encoding/json allows 10,000
	wide := strings.Repeat("a", 900_000)
	for _, value := range []string{
		strings.Repeat("[", deep) + `"` + wide + `"` + strings.Repeat("]", deep),
		strings.Repeat(`{"hostname":`, deep) + `"` + wide[deep*12:] + `"` + strings.Repeat("}", deep),
	} {
		for _, field := range []string{"MESSAGE", "host", "process", "time"} {
			got := readText(t, `{"__REALTIME_TIMESTAMP":"1795341600000000","SYSLOG_IDENTIFIER":"postfix/smtpd","`+field+`":`+value+"}\n")
			if len(got.sessions) != 0 {
				t.Errorf("%s: %v", field, got)
			}
		}
	}
}

// Archives that were put together are read to their end.
func TestJoinedArchives(t *testing.T) {
	later := strings.ReplaceAll(delivery, "Nov 22 10:", "Nov 22 11:")
	for name, first := range compressed(t) {
		second := []byte(later)
		switch name {
		case "plain":
		case "gzip":
			second = gzipped(t, later, now)
		default: // the same once more
			second, later = first, delivery
		}
		want := 2
		if later == delivery {
			want = 1 // the session is the same, and known already
		}
		got := read(t, options(), file(t, "mail.log", append(slices.Clone(first), second...), now))
		slices.Sort(got.sessions)
		if n := len(slices.Compact(got.sessions)); n != want || len(got.stats.Problems) != 0 || got.stats.Lines != 8 {
			t.Errorf("%s: %d sessions, %d lines, %v", name, n, got.stats.Lines, got.stats.Problems)
		}
	}
}

// What is no regular file, as <(ssh mx2 cat …) of a shell, can be read only
// once.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile(path, []byte(delivery), 0) }()
	if got := read(t, options(), maillog.Source{Name: path}); got.String() != delivered {
		t.Error(got)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

// Processes that never end a session are forgotten, the oldest first.
func TestManyProcesses(t *testing.T) {
	var b strings.Builder
	start := time.Date(2026, time.November, 20, 0, 0, 0, 0, time.UTC)
	const n = 70_000
	for pid := range n {
		at := start.Add(time.Duration(pid/40) * time.Second).Format(time.Stamp)
		fmt.Fprintf(&b, "%s mx1 postfix/smtpd[%d]: connect from mx[192.0.2.1]\n%s mx1 postfix/smtpd[%d]: 4Q%X: client=mx[192.0.2.1]\n", at, pid, at, pid, pid)
	}
	at := start.Add(n / 40 * time.Second).Format(time.Stamp)
	for _, pid := range []int{1, n - 1} {
		fmt.Fprintf(&b, "%s mx1 postfix/smtpd[%d]: disconnect from mx[192.0.2.1] ehlo=1 commands=1\n", at, pid)
	}
	got := readText(t, b.String())
	known := 0
	for _, s := range got.sessions {
		if strings.HasSuffix(s, clearFound) {
			known++
		}
	}
	if known != 1 || len(got.sessions) != n {
		t.Errorf("%d of %d known, want 1 of %d: the end of the first came too late", known, len(got.sessions), n)
	}
}

// A process that comes back is known or new: its lines before the end of its last
// session ended counts no more, however many came in between.
func TestProcessesComeBack(t *testing.T) {
	var b strings.Builder
	start := time.Date(2026, time.November, 20, 0, 0, 0, 0, time.UTC)
	const n, rounds = 5000, 3 // more than are kept
	for i := range n * rounds {
		at := start.Add(time.Duration(i) * time.Second).Format(time.Stamp)
		who := fmt.Sprintf("mx[192.0.2.%d]", i%7)
		for _, message := range []string{"connect from %s", "4Q" + fmt.Sprint(i) + ": client=%s", "disconnect from %s ehlo=1 commands=1"} {
			fmt.Fprintf(&b, "%s mx1 postfix/smtpd[%d]: "+message+"\n", at, i%n, who)
		}
		if i%3 == 0 { // cut: of no session that is under way
			fmt.Fprintf(&b, "%s mx1 postfix/smtpd[%d]: connect fr\n", at, i%n)
		}
	}
	got := readText(t, b.String())
	for _, s := range got.sessions {
		if !strings.HasSuffix(s, clearFound) {
			t.Fatal(s)
		}
	}
	if len(got.sessions) != n*rounds || got.stats.Broken != n*rounds/3 {
		t.Errorf("%d sessions, %d broken lines", len(got.sessions), got.stats.Broken)
	}
}

// Lines of several hosts and services that take turns are separated.
func TestManySources(t *testing.T) {
	var b strings.Builder
	const n = 12
	for _, message := range []string{connect, client, byeClear, connect, tls13, "4Q2: client=" + bank, byeTLS} {
		for i := range n {
			fmt.Fprintf(&b, "Nov 22 10:00:00 mx%d postfix%s/smtpd[7]: %s\n", i/2, strings.Repeat("x", i%2), message)
			fmt.Fprintf(&b, "Nov 22 10:00:00 mx%d postfix/smtpd/x[7]: %s\n", i/2, message) // somebody else
		}
	}
	got := readText(t, b.String())
	if len(got.sessions) != 2*n || len(got.stats.Listeners) != n || got.stats.Smtpd != 7*n {
		t.Fatalf("%d sessions, %d listeners, %d lines", len(got.sessions), len(got.stats.Listeners), got.stats.Smtpd)
	}
	for _, l := range got.stats.Listeners {
		if l.Connects != 2 || l.Messages != 2 || l.TLS != 1 || l.StartTLS != 1 {
			t.Errorf("%+v", *l)
		}
	}
}

// Sources are read in the order of time, whatever order they are given in, and
// what is in several of them counts once.
func TestOrder(t *testing.T) {
	part := func(minutes ...int) string {
		var b strings.Builder
		for _, m := range minutes {
			b.WriteString(at(fmt.Sprintf("Nov 22 10:%02d:00", m)))
		}
		return b.String()
	}
	files := []maillog.Source{
		file(t, "c", []byte(part(3)), now), file(t, "a2", []byte(part(1, 2)), now), file(t, "rubbish", []byte("x\n"), now),
		file(t, "b", []byte(part(2)), now), file(t, "a", []byte(part(1)), now),
	}
	var first []string
	for n := range len(files) {
		rotated := append(slices.Clone(files[n:]), files[:n]...)
		got := read(t, options(), rotated...)
		if n == 0 {
			first = got.sessions
		}
		if diff := cmp.Diff(first, got.sessions); diff != "" || len(got.sessions) != 3 || got.stats.Repeated != 8 || len(got.stats.Problems) != 1 {
			t.Errorf("%s%v", diff, got.stats.Problems)
		}
	}
	if !strings.Contains(first[0], "10:01:00") || !strings.Contains(first[len(first)-1], "10:03:00") {
		t.Errorf("%v", first)
	}
}

// TestTurns: sources that take turns are merged, line by line.
func TestTurns(t *testing.T) {
	var parts [3]string
	var want []string
	for n := range 9 {
		stamp := fmt.Sprintf("Nov 22 10:%02d:00", n)
		parts[n%3] += strings.ReplaceAll(at(stamp), "mx1 ", fmt.Sprintf("mx%d ", n%3))
		want = append(want, fmt.Sprintf("2026-11-22T10:%02d:00Z %s 1 TLSv1.3 mx%d/postfix/smtpd", n, bank, n%3))
	}
	got := read(t, options(), file(t, "a", []byte(parts[0]), now), file(t, "b", []byte(parts[1]), now), file(t, "c", []byte(parts[2]), now))
	if diff := cmp.Diff(want, got.sessions); diff != "" {
		t.Error(diff)
	}
}

// A name is clean where it leaves us.
func TestListenerIdentity(t *testing.T) {
	for want, l := range map[string]maillog.Listener{
		"listener:log/mx1/postfix/smtpd":                   {Host: "MX1", Service: "postfix/smtpd"},
		"listener:log/m?x1/a?b/smtpd":                      {Host: "m\x1bx1", Service: "a b/smtpd"},
		"listener:log/" + strings.Repeat("x", 196) + "...": {Host: strings.Repeat("x", 400), Service: "s"},
	} {
		if got := l.Identity().String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestRepeatedAlike: which lines a repeat pushes out of the table is the same in
// every run.
func TestRepeatedAlike(t *testing.T) {
	var messages []string
	for range 500 {
		messages = append(messages, connect, tls13, client, byeTLS)
	}
	text := log(messages...)
	const want = 1578 // of 2,000; what it is does not matter
	if got := readText(t, text+text).stats.Repeated; got != want {
		t.Errorf("%d lines are repeats, want %d", got, want)
	}
}
