package main

import (
	"bytes"
	"fmt"
	"runtime"

	"tlsratchet/test/bench/measure"
)

const sendingWords = `## The sending side

Deliveries: messages to %d of %d pinned destinations each, over TLS to one receiver,
each delivery with a look-up of its own. One Postfix has our table, the other has none. Look-ups:
%s of them by Postfix's own client, half for pinned destinations, one after the other.
Readers: a log of %s lines, three for each delivery; the follower learns from it in one
goroutine, as the daemon does, and replay uses both cores.

`

const sendingCosts = `
What a delivery costs: the processor time of all of Postfix and of tlsratchet, which learns
from it too, by short turns as for mail that is received. A turn has %d messages; a round has
%d turns of each, of which the cheaper half counts, and there are %d rounds. The log is
read a while after it is written: what tlsratchet works between its turns is added to its deliveries.
The rate that follows is that of a machine without a pause, on which a delivery without
the table takes all cores for as long as its rate says, receiver and all.

`

// write writes the tables of the sending side.
func (s *sending) write(b *bytes.Buffer) {
	if s == nil {
		return
	}
	fmt.Fprintf(b, sendingWords, recipients, destinations, whole(2*destinations*lookupsEach), whole(s.lines))
	t := measure.Table{Head: []string{"", "a second", "ratio"}}
	for _, part := range []struct {
		what string
		all  standings
		to   string
	}{{"deliveries, ", s.deliveries, nameNoTable}, {"look-ups, ", s.lookups, ""}, {"lines, ", s.readers, nameReplay}} {
		for _, e := range part.all {
			least, most := e.Range(measure.Rate)
			t.Add(part.what+e.name, fmt.Sprintf("%s (%s to %s)", measure.Count(e.Median(measure.Rate)), measure.Count(least), measure.Count(most)),
				measure.Ratio(e.Ratio(part.all.of(part.to), measure.Rate)))
		}
	}
	_ = t.Write(b)
	none := s.costs.of(nameNoTable)
	fmt.Fprintf(b, sendingCosts, costMessages, costTurns, len(none))
	t = measure.Table{Head: []string{"", "processor time a delivery", "tlsratchet in its turns", "above no table"}}
	for _, e := range s.costs {
		t.Add(e.name, measure.Wait(e.Median(measure.System)), cpu(e.Median(measure.CPU)), span(e.Above(none, measure.System)))
	}
	_ = t.Write(b)
}

// aims are what should hold of the sending side: of what was left out, nothing.
func (s *sending) aims() []aim {
	if s == nil {
		return nil
	}
	rate := s.deliveries.of(nameTable).Ratios(s.deliveries.of(nameNoTable), measure.Rate)
	delivered := atLeast("delivery rate with the table to none", 0.98, rate.Low)
	delivered.got, delivered.open = measure.Ratio(rate.Middle), rate.Low < 0.98 && rate.High >= 0.98
	lookups := s.lookups.of(namePostmap).Median(measure.Rate)
	return []aim{
		delivered,
		s.byWork(),
		{"look-ups a second through Postfix's own client", "at least 10,000", measure.Count(lookups), lookups >= 10_000, false},
		atLeast("lines/s of the follower to replay", 1, s.readers.of(nameFollower).Ratio(s.readers.of(nameReplay), measure.Rate)),
	}
}

// byWork is the rate with our table to that without, as it follows from the processor
// time that the table adds.
func (s *sending) byWork() aim {
	const least = 0.98
	added := s.costs.of(nameTable).Above(s.costs.of(nameNoTable), measure.System)
	whole := float64(runtime.NumCPU()) / s.deliveries.of(nameNoTable).Median(measure.Rate) // seconds of the cores for a delivery
	rate := func(more float64) float64 { return whole / (whole + more) }
	got := fmt.Sprintf("%.3f (%.3f to %.3f)", rate(added.Middle), rate(added.High), rate(added.Low))
	return within("the same by the processor time of a delivery", fmt.Sprintf("at least %.2f", least), got, whole/least-whole, added)
}
