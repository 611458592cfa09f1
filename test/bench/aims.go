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
		all = append(all, m.costAims()...)
	}
	if r.starts != nil {
		took := measure.Median(r.starts.warm)
		all = append(all, aim{"start with " + measure.Count(float64(r.starts.identities)) + " identities", "1 s", measure.Wait(took), took <= 1, false})
	}
	all = append(all, r.sending.aims()...)
	all = append(all, r.replays.aims()...)
	return all
}

// costAims are the parts of what the C milter costs that ours may cost.
func (m mailing) costAims() (all []aim) {
	none, c := m.costs.of(nameNone), m.costs.of(nameC)
	if c == nil {
		return nil
	}
	for _, one := range []struct {
		name string
		most float64
	}{{nameOurs, 0.9}, {nameOursPolicy, 0.5}} {
		ours := m.costs.of(one.name)
		excess := ours.Excess(none, one.most, c, measure.System)
		all = append(all, aim{
			what: fmt.Sprintf("added processor time of %s to %s, %d KB", one.name, nameC, m.kilobytes),
			want: fmt.Sprintf("at most %.1f", one.most),
			got:  share(ours.Above(none, measure.System).Median, c.Above(none, measure.System).Median),
			met:  excess.High <= 0, open: excess.Low <= 0 && excess.High > 0,
		})
	}
	return all
}

func atLeast(what string, want, got float64) aim {
	return aim{what, fmt.Sprintf("at least %.2f", want), measure.Ratio(got), got >= want, false}
}

func atMost(what string, want, got float64) aim {
	return aim{what, fmt.Sprintf("at most %.2f", want), measure.Ratio(got), got > 0 && got <= want, false}
}
