package main

import (
	"bytes"
	"fmt"
	"strings"

	"tlsratchet/test/bench/measure"
)

const replayWords = `## Replay of a log

%s lines (%s MB, a month of %s peers; test/loggen makes them), in
the page cache. All but tlsratchet use one core. grep is
` + "`grep -c postfix/smtpd`" + ` with LC_ALL=%s; it and ` + "`tlsratchet replay --json`" + ` must
find the same number of lines. pflogsumm is slow: it reads another such log, of
%s lines. CPU is user and system time for a million lines.
With: %s.

`

const peakWords = `Memory, the peak of what is resident, with logs that come by a pipe. What is
remembered is bounded by the peers and the days on which each of them sends. Of
%s peers a fifth of the lines has nearly all of that; of %s it
doesn't, for in so few lines most of them send on few days.

`

// write writes the tables.
func (m *replays) write(b *bytes.Buffer) {
	if m == nil {
		return
	}
	fmt.Fprintf(b, replayWords, whole(m.lines), measure.Count(float64(m.bytes)/1e6), whole(logPeers), locale, whole(m.fewer), strings.Join(m.versions, "; "))
	t := measure.Table{Head: []string{"", "lines/s", "CPU", "rate to " + nameGrep, "CPU to " + nameGrep, "rate to " + namePflogsumm}}
	for _, e := range m.standings {
		least, most := e.Range(measure.Rate)
		t.Add(e.name,
			fmt.Sprintf("%s (%s to %s)", measure.Count(e.Median(measure.Rate)), measure.Count(least), measure.Count(most)),
			measure.Wait(e.Median(measure.CPU)*1e6),
			measure.Ratio(e.Ratio(m.of(nameGrep), measure.Rate)),
			measure.Ratio(e.Ratio(m.of(nameGrep), measure.CPU)),
			measure.Ratio(e.Ratio(m.of(namePflogsumm), measure.Rate)))
	}
	_ = t.Write(b)
	if len(m.peaks) == 0 {
		return
	}
	fmt.Fprintf(b, peakWords, whole(steadyPeers), whole(logPeers))
	t = measure.Table{Head: []string{"peers", "lines", "peak"}}
	for _, p := range m.peaks {
		t.Add(whole(p.peers), whole(p.lines), fmt.Sprintf("%.0f MB", float64(p.bytes)/1e6))
	}
	_ = t.Write(b)
}

func whole(n int) string { return measure.Count(float64(n)) }

// aims are what should hold of a replay: of what was left out, nothing.
func (m *replays) aims() (all []aim) {
	if m == nil {
		return nil
	}
	ours := m.of(nameReplay)
	if grep := m.of(nameGrep); grep != nil {
		ratio := ours.Ratio(grep, measure.Rate)
		all = append(all, atLeast("lines/s of replay to grep -c", 0.1, ratio), atLeast("lines/s of replay to grep -c, the aim", 0.25, ratio))
	}
	if slow := m.of(namePflogsumm); slow != nil {
		all = append(all, atLeast("lines/s of replay to pflogsumm", 15, ours.Ratio(slow, measure.Rate)))
	}
	if len(m.peaks) >= 2 && m.peaks[0].bytes > 0 {
		all = append(all, atMost("memory of replay, five times the lines of the same peers", 1.2, float64(m.peaks[1].bytes)/float64(m.peaks[0].bytes)))
	}
	return all
}
