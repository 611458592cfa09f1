package main

import (
	"bytes"
	"fmt"

	"tlsratchet/test/bench/measure"
)

// aim is something that should hold, and what was measured.
type aim struct {
	what, want, got string
	met             bool
	// open: what was measured decides neither way.
	open bool
}

// aims writes the table of what should hold. It is measured, not asserted: on
// a busy machine a round may say anything.
func (r *report) aims(b *bytes.Buffer) {
	t := measure.Table{Head: []string{"aim", "wanted", "measured", ""}}
	for _, a := range r.allAims() {
		verdict := "missed"
		switch {
		case a.open:
			verdict = "open"
		case a.met:
			verdict = "met"
		}
		t.Add(a.what, a.want, a.got, verdict)
	}
	b.WriteString("## Aims\n\n")
	_ = t.Write(b)
}

func (r *report) allAims() (all []aim) {
	for _, p := range r.parts {
		if most, ok := map[string]int64{partJudge: 0, partDecide: 2}[p.name]; ok {
			all = append(all, aim{"allocations of " + p.name, fmt.Sprintf("at most %d", most), fmt.Sprint(p.allocs), p.allocs <= most, false})
		}
	}
	for _, s := range r.milters {
		what := fmt.Sprintf(", %d a session", s.length)
		ours, c := s.of(nameOurs), s.of(nameC)
		all = append(all, atLeast("rate to "+nameGo+what, 0.93, ours.Ratio(s.of(nameGo), measure.Rate)))
		if c != nil {
			all = append(all,
				atLeast("rate to "+nameC+what, 1.1, ours.Ratio(c, measure.Rate)),
				atMost("p99 to "+nameC+what, 1.5, ours.Ratio(c, measure.P99)))
		}
	}
	for _, m := range r.mail {
		for _, c := range m.costs {
			all = append(all, c.aims(m.kilobytes)...)
		}
	}
	if r.starts != nil {
		took := measure.Median(r.starts.warm)
		all = append(all, aim{"start with " + measure.Count(float64(r.starts.identities)) + " identities", "1 s", measure.Wait(took), took <= 1, false})
	}
	all = append(all, r.sending.aims()...)
	all = append(all, r.replays.aims()...)
	return all
}

// aims are what ours may cost: a part of what the C milter does, and little more
// than one of its own kind that does nothing.
func (c costing) aims(kilobytes int) (all []aim) {
	none, libmilter := c.of(nameNone), c.of(nameC)
	for _, one := range []struct {
		name, idle string
		most       float64
	}{{nameOurs, nameGo, 0.9}, {nameOursPolicy, nameIdlePolicy, 0.5}} {
		ours, what := c.of(one.name), fmt.Sprintf("added processor time of %s, %d KB, %d at once", one.name, kilobytes, c.sessions)
		if libmilter != nil {
			got := share(ours.Above(none, measure.System).Middle, libmilter.Above(none, measure.System).Middle)
			all = append(all, within(what+": to "+nameC, fmt.Sprintf("at most %.1f", one.most), got, 0, ours.Excess(none, one.most, libmilter, measure.System)))
		}
		if idle := c.of(one.idle); idle != nil {
			more := ours.Above(idle, measure.System)
			all = append(all, within(what+": above "+one.idle, "at most 10 µs", fmt.Sprintf("%.0f µs", more.Middle*1e6), 10e-6, more))
		}
	}
	return all
}

// within is met or missed where all of an estimate is on one side of the limit.
func within(what, want, got string, limit float64, e measure.Estimate) aim {
	return aim{what: what, want: want, got: got, met: e.High <= limit, open: e.Low <= limit && e.High > limit}
}

func atLeast(what string, want, got float64) aim {
	return aim{what, fmt.Sprintf("at least %.2f", want), measure.Ratio(got), got >= want, false}
}

func atMost(what string, want, got float64) aim {
	return aim{what, fmt.Sprintf("at most %.2f", want), measure.Ratio(got), got > 0 && got <= want, false}
}
