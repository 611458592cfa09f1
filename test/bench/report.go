package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"time"

	"tlsratchet/test/bench/measure"
)

// report is all that was measured.
type report struct {
	*options
	machine machine
	parts   []part
	milters []sessions
	mail    []mailing
	sending *sending
	starts  *starts
	replays *replays
	// left are what was left out, and why.
	left []string
	// temporary is a folder to be removed.
	temporary string
}

// sessions are the standings for milter sessions of one length.
type sessions struct {
	length int
	standings
}

// mailing is mail of one size through Postfix: the standings by turns, and what a
// message cost where all work at the same time.
type mailing struct {
	kilobytes int
	standings
	costs []costing
}

// costing is what a message cost with so many sessions at once.
type costing struct {
	sessions int
	standings
}

func (r *report) leaveOut(what string, why error) {
	r.left = append(r.left, fmt.Sprintf("Left out: %s (%v).", what, why))
}

// print writes the tables.
func (r *report) print(w io.Writer) error {
	var b bytes.Buffer
	r.tables(&b)
	_, err := b.WriteTo(w)
	return err
}

// document writes the tables with the words that they need.
func (r *report) document(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, preface, time.Now().UTC().Format(time.DateOnly), r.machine.cores, r.machine.cpu, r.machine.kernel,
		strings.Join(r.machine.versions, "; "), r.machine.before, r.machine.after, r.rounds)
	r.tables(&b)
	b.WriteString(frozen)
	_, err := b.WriteTo(w)
	return err
}

// frozen are results of measurements that are not run again.
//
//go:embed frozen.md
var frozen string

const preface = `# Performance

Written by ` + "`make bench`" + ` (test/bench/), on %s. Don't edit it; run it again.

- Machine: %d cores, %s, %s.
- With: %s.
- Load average: %s before, %s after, our own load included. What else ran on
  the machine is in the figures; write this on one that is idle otherwise, or
  with ` + "`chrt -r 1 make bench`" + `, which has the others wait.

How to read it: the load generator, Postfix and the milters share these cores,
so messages a second say more of the machine than of a milter. **The ratios
count.** The contestants take turns, %d rounds (more where turns are short) after
one that doesn't count, forwards and backwards by turns; figures are medians over the
rounds, with the range in brackets. Ratios and differences are taken in each round, and
their middle is that of the means of all pairs (Hodges and Lehmann). 1.05 is 5 %% more
messages a second than that other one; of a p99, less is better. An aim is open where the noise is larger than what is missing. Through Postfix no rate
is an aim: a milter that does nothing costs a tenth of it, so that the rate would
judge the protocol. What a message costs is the aim there.

`

func (r *report) tables(b *bytes.Buffer) {
	r.aims(b)
	for _, line := range r.left {
		b.WriteString(line + "\n\n")
	}
	r.partsTable(b)
	for i, s := range r.milters {
		what := "one message a session"
		if s.length > 1 {
			what = fmt.Sprintf("%d messages a session", s.length)
		}
		fmt.Fprintf(b, "## Milter sessions, %s\n\n", what)
		if i == 0 {
			fmt.Fprintf(b, milterWords, r.sessions, peerCount)
		}
		s.table(b, nameGo, nameC)
	}
	for i, m := range r.mail {
		fmt.Fprintf(b, "## Mail through Postfix, %d KB a message\n\n", m.kilobytes)
		if i == 0 {
			fmt.Fprintf(b, mailWords, r.sessions, mailsASession, sources)
		}
		m.table(b, nameNone, nameC)
		for j, c := range m.costs {
			if i+j == 0 {
				fmt.Fprintf(b, costWords, mailsASession, costTurns, len(c.of(nameNone)))
			}
			c.table(b)
		}
	}
	r.sending.write(b)
	r.startTable(b)
	r.replays.write(b)
}

const milterWords = `%d sessions at once on a unix socket, Postfix's packets in Postfix's order,
12 headers and 4 KB a message where the milter asks for them. tlsratchet has
a history file with %d peers, all of them steady: each message is judged by
address, domain, sender and listener, and accepted at MAIL. The do-nothing ones
ask for the same and accept at MAIL without looking; the last takes all events.
The time of a message runs from the first byte to the last answer; that of a
session's first message includes connecting and negotiating. CPU is the
milter's own processor time for a message, the kernel's work for it included.

`

const mailWords = `%d SMTP sessions at once, STARTTLS with resumed sessions, %d messages each, from
%d addresses, into a private Postfix whose queue is in memory: on a disk its
fsync would hide the milters. Each contestant has a listener of its own with smtpd(8)
processes of its own, and shares all others; mail goes to discard(8), and each turn begins
with an empty queue. The time of a message runs from MAIL to the last 250. Both cores are
busy all the time, so that a rate is processor time, Postfix's own work for a milter included: it
negotiates for each session, and hands the milter on to cleanup(8) with each
message, whatever the milter does.

`

func (r *report) partsTable(b *bytes.Buffer) {
	if r.parts == nil {
		return
	}
	b.WriteString("## The steps of a decision\n\nBy themselves, in one goroutine, for a steady peer.\n\n")
	t := measure.Table{Head: []string{"step", "time", "allocations"}}
	for _, p := range r.parts {
		t.Add(p.name, measure.Wait(p.nanoseconds/1e9), fmt.Sprint(p.allocs))
	}
	_ = t.Write(b)
}

// table writes the standings, with ratios to the two that count.
func (s standings) table(b *bytes.Buffer, first, second string) {
	t := measure.Table{Head: []string{"", "messages/s", "p50", "p99", "CPU",
		"rate to " + first, "rate to " + second, "p99 to " + second}}
	if s.of(second) == nil {
		t.Head = t.Head[:6]
	}
	for _, e := range s {
		least, most := e.Range(measure.Rate)
		t.Add(e.name,
			fmt.Sprintf("%s (%s to %s)", measure.Count(e.Median(measure.Rate)), measure.Count(least), measure.Count(most)),
			measure.Wait(e.Median(measure.P50)), measure.Wait(e.Median(measure.P99)), cpu(e.Mean(measure.CPU)),
			measure.Ratio(e.Ratio(s.of(first), measure.Rate)),
			measure.Ratio(e.Ratio(s.of(second), measure.Rate)),
			measure.Ratio(e.Ratio(s.of(second), measure.P99)))
	}
	_ = t.Write(b)
}

const costWords = `What a message costs the whole system: the processor time of Postfix's processes
and of the milter or policy service, until the queue is empty. A turn has so many sessions
at once as stands above a table, with %d messages each, and lasts milliseconds, so that a
machine that slows down is as slow for the next contestant. A round has %d turns of each, of
which the cheaper half counts: other work on the machine makes a turn dearer, and
never cheaper. Each round has new processes of Postfix. What is above no milter is the middle
of the %d rounds' differences, with the range that holds the true one in 19 of 20 cases. The
second ones of a kind show what the method gets wrong: between no milter and no
milter there is nothing. Each contestant runs a copy of its program: the do-nothing ones are
the load generator's own, and would find their code in the processor's caches. They show what
the protocol costs by itself. Context switches are how often a thread of these processes was
put on a processor, which is a count and no time. What was tried to lower ours: [decisions/wake-ups.md](decisions/wake-ups.md).

`

// table writes what each one adds to a message's processor time.
func (c costing) table(b *bytes.Buffer) {
	none := c.of(nameNone)
	whole := c.of(nameC).Above(none, measure.System).Middle
	fmt.Fprintf(b, "%d sessions at once:\n\n", c.sessions)
	t := measure.Table{Head: []string{"", "processor time a message", "its own process", "above no milter", "of the C milter's", "context switches"}}
	for _, e := range c.standings {
		above := e.Above(none, measure.System)
		t.Add(e.name, measure.Wait(e.Median(measure.System)), cpu(e.Median(measure.CPU)), span(above), share(above.Middle, whole),
			fmt.Sprintf("%.1f", e.Median(measure.Switches)))
	}
	_ = t.Write(b)
}

// span is a processor time with its range.
func span(e measure.Estimate) string {
	return fmt.Sprintf("%.0f µs (%.0f to %.0f)", e.Middle*1e6, e.Low*1e6, e.High*1e6)
}

// share is a part of a whole, in words; there may be no whole.
func share(part, whole float64) string {
	if whole <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", part/whole)
}

// cpu is a milter's processor time for a message; there may be no milter.
func cpu(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return measure.Wait(seconds)
}

func (r *report) startTable(b *bytes.Buffer) {
	if r.starts == nil {
		return
	}
	fmt.Fprintf(b, "## Start\n\nFrom the start of the process to its first answer to a message, with %s stored\nidentities (a file of %s MB, which is read and verified whole).\n\n",
		measure.Count(float64(r.starts.identities)), measure.Count(float64(r.starts.bytes)/1e6))
	t := measure.Table{Head: []string{"", "time", "slowest"}}
	for _, row := range []struct {
		name  string
		times []float64
	}{{"file in the page cache", r.starts.warm}, {"file not in the page cache", r.starts.cold}} {
		slowest := 0.0
		for _, s := range row.times {
			slowest = max(slowest, s)
		}
		t.Add(row.name, measure.Wait(measure.Median(row.times)), measure.Wait(slowest))
	}
	_ = t.Write(b)
}
