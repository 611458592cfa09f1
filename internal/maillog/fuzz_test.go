package maillog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tlsratchet/internal/maillog"
)

// world draws the lines of a log: processes that take sessions one after the
// other, of which now and then a line is lost. Time goes on with every line.
func world(t *rapid.T) []string {
	type process struct{ lines []string }
	var processes []process
	queue := 0
	for pid := range rapid.IntRange(1, 4).Draw(t, "processes") {
		var p process
		write := func(format string, args ...any) {
			if rapid.IntRange(0, 19).Draw(t, "lost") > 0 {
				p.lines = append(p.lines, fmt.Sprintf("mx1 postfix/smtpd[%d]: ", 100+pid)+fmt.Sprintf(format, args...))
			}
		}
		for range rapid.IntRange(0, 5).Draw(t, "sessions") {
			who := fmt.Sprintf("mx%d.bank.example[192.0.2.%d]", rapid.IntRange(1, 3).Draw(t, "peer"), rapid.IntRange(1, 3).Draw(t, "host"))
			write("connect from %s", who)
			starttls := ""
			if rapid.Bool().Draw(t, "encrypted") {
				write("Anonymous TLS connection established from %s: TLSv1.%d with cipher X (256/256 bits)", who, rapid.IntRange(2, 3).Draw(t, "version"))
				starttls = " starttls=1"
			}
			for range rapid.IntRange(0, 3).Draw(t, "messages") {
				queue++
				write("4Q%X: client=%s", queue, who)
			}
			write("disconnect from %s ehlo=1%s commands=1", who, starttls)
		}
		processes = append(processes, p)
	}
	var all []string
	at := time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)
	for len(processes) > 0 {
		i := rapid.IntRange(0, len(processes)-1).Draw(t, "next")
		p := &processes[i]
		if len(p.lines) == 0 {
			processes = slices.Delete(processes, i, i+1)
			continue
		}
		at = at.Add(time.Duration(rapid.SampledFrom([]int{1, 60, 3000, 86400}).Draw(t, "pause")) * time.Second)
		all = append(all, at.Format(time.Stamp)+" "+p.lines[0]+"\n")
		p.lines = p.lines[1:]
	}
	return all
}

// split cuts lines into files, as logrotate does.
func split(t *rapid.T, lines []string) (files []string) {
	for len(lines) > 0 {
		n := rapid.IntRange(1, len(lines)).Draw(t, "rotated after")
		files = append(files, strings.Join(lines[:n], ""))
		lines = lines[n:]
	}
	return files
}

func sources(files []string) (all []maillog.Source) {
	for _, text := range files {
		all = append(all, stream(text))
	}
	return all
}

// sessions are those of which the TLS state is known, each once.
func sessions(t testing.TB, files []string) []string {
	known := slices.DeleteFunc(read(t, options(), sources(files)...).sessions, func(s string) bool { return strings.Contains(s, "unknown (") })
	slices.Sort(known)
	return slices.Compact(known)
}

func TestAnyOrderAnyDoubling(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		lines := world(r)
		want := sessions(t, []string{strings.Join(lines, "")})
		files := split(r, lines)
		doubledLines := make([]string, 0, 2*len(lines))
		for _, l := range lines {
			doubledLines = append(doubledLines, l)
			if rapid.Bool().Draw(r, "doubled") {
				doubledLines = append(doubledLines, l)
			}
		}
		for name, other := range map[string][]string{
			"rotated":       rapid.Permutation(files).Draw(r, "order"),
			"files doubled": rapid.Permutation(append(slices.Clone(files), files...)).Draw(r, "order, doubled"),
			"lines doubled": {strings.Join(doubledLines, "")},
		} {
			if got := sessions(t, other); !slices.Equal(got, want) {
				r.Errorf("%s:\n%s\nwant\n%s\nof\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"), strings.Join(lines, ""))
			}
		}
	})
}

// A line that is lost may make a session unknown. It never makes of sessions
// that were all encrypted one in clear.
func TestLostLines(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		lines := world(r)
		lines = slices.DeleteFunc(lines, func(l string) bool { return rapid.IntRange(0, 5).Draw(r, "lose") == 0 })
		var all []string
		for _, l := range lines {
			// The end of a session as it is if it was encrypted.
			if strings.Contains(l, "disconnect") && !strings.Contains(l, "starttls=1") {
				l = strings.Replace(l, " commands", " starttls=1 commands", 1)
			}
			all = append(all, l)
		}
		for _, s := range sessions(t, []string{strings.Join(all, "")}) {
			if strings.Contains(s, " none ") {
				r.Errorf("%s, of\n%s", s, strings.Join(all, ""))
			}
		}
	})
}
