package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/test/bench/measure"
)

// programs makes a PATH of scripts alone: pairs of name and text.
func programs(t *testing.T, all ...string) {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(all); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, all[i]), []byte("#!/bin/sh\n"+all[i+1]+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

const (
	realGrep  = `exec /bin/grep "$@"`
	somePflog = `case $1 in --version) echo pflogsumm 0;; *) read line <"$1"; echo "$line";; esac`
	logLines  = 4000
)

// A whole run: ours, the real grep and something for pflogsumm.
func TestRunReplays(t *testing.T) {
	programs(t, "grep", realGrep, "pflogsumm", somePflog)
	r := newReplayReport(t)
	var output bytes.Buffer
	for range 2 { // the logs are made, then found
		if err := r.measureReplays(t.Context(), &output); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(output.String(), "making a log"); n != 2 {
		t.Errorf("made %d logs:\n%s", n, &output)
	}
	if left, _ := filepath.Glob(filepath.Join(r.cache, "*.part")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	m := r.replays
	if len(m.standings) != 3 || len(r.left) != 0 || m.bytes < 100*logLines || m.fewer != logLines/fewer {
		t.Errorf("%+v, left out %v", m, r.left)
	}
	for _, e := range m.standings {
		if len(e.Series) != 2 || e.Median(measure.Rate) <= 0 || e.Median(measure.CPU) <= 0 {
			t.Errorf("%+v", e)
		}
	}
	if len(m.peaks) != 4 {
		t.Fatalf("%+v", m.peaks)
	}
	for _, p := range m.peaks {
		if p.bytes <= 0 || p.bytes > 1<<30 {
			t.Errorf("%+v", p)
		}
	}
}

func newReplayReport(t *testing.T) *report {
	return &report{options: &options{binary: binary, cache: t.TempDir(), lines: logLines, rounds: 2}}
}

// What can't be had is left out, and output.
func TestReplaysLeaveOut(t *testing.T) {
	programs(t)
	r := newReplayReport(t)
	if err := r.measureReplays(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	if len(r.replays.standings) != 1 || len(r.left) != 2 || !strings.Contains(r.left[0], "Left out: grep -c (") || !strings.Contains(r.left[1], "Left out: pflogsumm (") {
		t.Errorf("%+v, left out %v", r.replays.standings, r.left)
	}
	aims := r.replays.aims()
	if len(aims) != 1 || !strings.HasPrefix(aims[0].what, "memory of replay") {
		t.Errorf("%+v", aims)
	}
}

// Whoever doesn't do the whole work is no measure.
func TestReplaysMustAgree(t *testing.T) {
	programs(t, "grep", "echo 7")
	r := newReplayReport(t)
	if err := r.measureReplays(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "grep -c: 7 lines of smtpd, not 2") {
		t.Errorf("got %v", err)
	}
	programs(t, "grep", "echo broken >&2; exit 3")
	if err := r.measureReplays(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "exit status 3\nbroken") {
		t.Errorf("got %v", err)
	}
	r.binary = "/bin/false"
	if err := r.measureReplays(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "tlsratchet replay: exit status 1") {
		t.Errorf("got %v", err)
	}
}

func TestCounts(t *testing.T) {
	if n, err := smtpdOfGrep([]byte("42\n")); n != 42 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := smtpdOfReplay([]byte(`{"lines":99,"smtpd":42}`)); n != 42 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, text := range []string{"", "grep: no such file", "{"} {
		if _, err := smtpdOfGrep([]byte(text)); err == nil {
			t.Errorf("grep: %q is a number", text)
		}
		if _, err := smtpdOfReplay([]byte(text)); err == nil {
			t.Errorf("replay: %q is a report", text)
		}
	}
}

func TestParsePeak(t *testing.T) {
	for status, want := range map[string]int64{
		"Name:\tx\nVmPeak:\t  99 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1 kB\n": 1234 << 10,
		"VmHWM:\tmuch kB\n":        0,
		"Name:\tx\nState:\tZ\n":    0,
		"":                         0,
		"Name:\tVmHWM: 12345 kB\n": 0,
	} {
		if got := parsePeak(status); got != want {
			t.Errorf("%q: %d, want %d", status, got, want)
		}
	}
}

// The peak is that of the process alone, and of it when it was largest.
func TestPeakOf(t *testing.T) {
	fat := bytes.Repeat([]byte("x"), 200<<20) // ours, not the process'
	most, err := peakOf(t.Context(), []string{"/bin/cat"}, func(w io.Writer) error {
		_, err := w.Write(fat[:10])
		return err
	})
	if err != nil || most <= 0 || most > 50<<20 {
		t.Errorf("%d, %v", most, err)
	}
	if _, err := peakOf(t.Context(), []string{"/bin/sh", "-c", "echo why >&2; exit 4"}, func(io.Writer) error { return nil }); err == nil || !strings.Contains(err.Error(), "exit status 4\nwhy") {
		t.Errorf("got %v", err)
	}
	if _, err := peakOf(t.Context(), []string{"/nonexistent/x"}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := peakOf(ctx, []string{"/bin/cat"}, func(io.Writer) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func sampleReplays() *replays {
	series := func(rate float64, cpu time.Duration) measure.Series {
		f := measure.Figures{Rate: rate, CPU: cpu}
		return measure.Series{f, f}
	}
	return &replays{
		lines: 5_000_000, fewer: 500_000, bytes: 690e6, versions: []string{"grep 3", "pflogsumm 1"},
		standings: standings{{nameReplay, series(3e6, 500)}, {nameGrep, series(15e6, 100)}, {namePflogsumm, series(150e3, 7000)}},
		peaks:     []peak{{1e6, 1000, 40e6}, {5e6, 1000, 44e6}, {1e6, 20_000, 60e6}, {5e6, 20_000, 90e6}},
	}
}

func TestReplayTables(t *testing.T) {
	var b bytes.Buffer
	sampleReplays().write(&b)
	text := regexp.MustCompile(`\s+`).ReplaceAllString(b.String(), " ")
	for _, want := range []string{
		"5,000,000 lines (690 MB, a month of 20,000 peers", "LC_ALL=C.UTF-8", "another such log, of 500,000 lines", "With: grep 3; pflogsumm 1.",
		"| tlsratchet replay | 3,000,000 (3,000,000 to 3,000,000) | 0.50 s | 0.20 | 5.00 | 20.00 |",
		"| pflogsumm | 150,000 (150,000 to 150,000) | 7.00 s | 0.01 | 70.00 | 1.00 |",
		"| 1,000 | 5,000,000 | 44 MB |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, &b)
		}
	}
	b.Reset()
	(*replays)(nil).write(&b) // not measured
	if b.Len() > 0 || (*replays)(nil).aims() != nil {
		t.Errorf("of nothing: %s", &b)
	}
}

func TestReplayAims(t *testing.T) {
	want := []aim{
		{"lines/s of replay to grep -c", "at least 0.10", "0.20", true, false},
		{"lines/s of replay to grep -c, the aim", "at least 0.25", "0.20", false, false},
		{"lines/s of replay to pflogsumm", "at least 15.00", "20.00", true, false},
		{"memory of replay, five times the lines of the same peers", "at most 1.20", "1.10", true, false},
	}
	if diff := cmp.Diff(want, sampleReplays().aims(), cmp.AllowUnexported(aim{})); diff != "" {
		t.Error(diff)
	}
}

// The lists of packages are fetched only where the first try fails. Who is not
// root, or has no apt-get, gets an error that names it.
func TestFindPflogsumm(t *testing.T) {
	if os.Geteuid() != 0 {
		programs(t)
		if err := findPflogsumm(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "run as root") {
			t.Errorf("got %v", err)
		}
		return
	}
	calls := filepath.Join(t.TempDir(), "calls")
	output := func() string {
		text, _ := os.ReadFile(calls)
		os.Remove(calls)
		return strings.ReplaceAll(string(text), "\n", " ")
	}
	verb := `case "$*" in *update*) v=update;; *"--no-remove pflogsumm") v=install;; *) v=odd;; esac; echo $v >>` + calls
	for _, test := range []struct{ ends, want, says string }{
		{"exit 0", "install ", ""},
		{`test $v = update && : >` + calls + `.lists; test -f ` + calls + `.lists || exit 100`, "install update install ", ""},
		{"exit 100", "install update install ", "installing it: exit status 100"},
	} {
		programs(t, "apt-get", verb+"; "+test.ends)
		err := findPflogsumm(t.Context(), io.Discard)
		if got := output(); got != test.want || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, called %q", test.ends, err, got)
		}
	}
	programs(t)
	if err := findPflogsumm(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "installing it") {
		t.Errorf("without apt-get: %v", err)
	}
	programs(t, "pflogsumm", "", "apt-get", verb)
	if err := findPflogsumm(t.Context(), io.Discard); err != nil || output() != "" {
		t.Errorf("with it there: %v", err)
	}
}

// All read by turns, there and back, and the first round doesn't count.
func TestReadRounds(t *testing.T) {
	calls := filepath.Join(t.TempDir(), "calls")
	reader := func(name string) logReader {
		return logReader{name: name, argv: []string{"/bin/sh", "-c", "echo " + name + " >>" + calls + "; echo 5"}, lines: 10, counts: smtpdOfGrep}
	}
	s, err := readRounds(t.Context(), []logReader{reader("a"), reader("b"), reader("c")}, 2)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(string(text)), ""); got != "abccbaabc" {
		t.Errorf("turns: %s", got)
	}
	for i, e := range s {
		if e.name != string(rune('a'+i)) || len(e.Series) != 2 {
			t.Errorf("%+v", e)
		}
	}
}

// A program reads with the locale that the report names, and not into
// /dev/null.
func TestReadEnvironment(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	l := logReader{argv: []string{"/bin/sh", "-c", `test "$LC_ALL" = C.UTF-8 && test -p /dev/stdout && echo 3`}, lines: 30, counts: smtpdOfGrep}
	f, n, err := l.read(t.Context())
	if err != nil || n != 3 || f.Rate <= 0 || f.Rate > 30/1e-4 {
		t.Errorf("%+v, %d, %v", f, n, err)
	}
	l.counts = nil
	if _, n, err := l.read(t.Context()); n != -1 || err != nil {
		t.Errorf("who doesn't count: %d, %v", n, err)
	}
}

func TestLargeLog(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "a", "cache")
	file, err := largeLog(cache, 50, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if n := bytes.Count(text, []byte("\n")); err != nil || n < 50 || n > 60 {
		t.Errorf("%d lines, %v", n, err)
	}
	if n, err := sizeOf(file); n != int64(len(text)) || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if other, err := largeLog(cache, 51, io.Discard); err != nil || other == file {
		t.Errorf("of other lines: %s, %v", other, err)
	}
	if _, err := largeLog(file, 50, io.Discard); err == nil {
		t.Error("a file is no folder")
	}
	if _, err := sizeOf(file + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
