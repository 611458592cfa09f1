package population

import (
	"fmt"
	"slices"
)

// SendFigures are what one rule does to the mail that we send.
type SendFigures struct {
	Rule         string
	Destinations int
	Messages     int
	// Attacks are those that are part of the aims, Stopped those whose first
	// message did not leave in clear within a day. Rows has each row.
	Attacks, Stopped int
	Rows             []TapFigures
	// Touched counts messages that an attack touched, Leaked those that left in
	// clear.
	Touched, Leaked int
	// Delayed counts messages that no attack touched and that were sent later
	// than without us, Returned those that were returned and would not have been.
	Delayed, Returned int
	// Median and Most are how long the delayed ones waited, in minutes.
	Median, Most int64
	// Walled counts messages that waited because our own firewall stripped them.
	Walled int
	// Held counts destinations that were held before our firewall stripped, half a
	// day long and seven days long, Kept those that were held after it.
	Held, Kept int
	Places     []PlaceFigures
}

// TapFigures are those of one row of attacks.
type TapFigures struct {
	Row              *Wiretap
	Attacks, Stopped int
}

// PlaceFigures are those of one row of destinations.
type PlaceFigures struct {
	Kind                        *Destination
	Places                      int
	Messages, Delayed, Returned int
}

// TrySending tries the rules in a world, beside what happens without us.
func TrySending(o Options, rules []SendRule, progress func(*SendFigures)) ([]*SendFigures, error) {
	w := NewSending(o)
	without := observing()
	base, err := w.run(&without)
	if err != nil {
		return nil, err
	}
	var all []*SendFigures
	for n := range rules {
		r, err := w.run(&rules[n])
		if err != nil {
			return nil, err
		}
		f := r.figures(rules[n].Name, base)
		all = append(all, f)
		if progress != nil {
			progress(f)
		}
	}
	return all, nil
}

func (r *sendRun) figures(rule string, base *sendRun) *SendFigures {
	f := &SendFigures{Rule: rule, Destinations: len(r.w.places)}
	for n := 0; n < len(wallMoments); n += 2 {
		for i, held := range r.held[n] {
			f.Held += one(held)
			f.Kept += one(held && r.held[n+1][i])
		}
	}
	r.attackFigures(f)
	r.messageFigures(f, base)
	return f
}

// attackFigures finds what became of the first message of each attack.
func (r *sendRun) attackFigures(f *SendFigures) {
	first := make(map[int32]*sendFate)
	for n := range r.fates {
		x := &r.fates[n]
		if x.tap < 0 {
			continue
		}
		f.Touched++
		f.Leaked += one(x.clear)
		if other := first[x.tap]; other == nil || x.touched < other.touched {
			first[x.tap] = x
		}
	}
	for a := range wiretaps {
		row := TapFigures{Row: &wiretaps[a]}
		for index, x := range first {
			if r.w.taps[index].row == row.Row {
				row.Attacks++
				row.Stopped += one(!x.leaks(row.Row))
			}
		}
		f.Rows = append(f.Rows, row)
		if row.Row.Hopeless == "" {
			f.Attacks += row.Attacks
			f.Stopped += row.Stopped
		}
	}
}

// leaks reports whether an attack reached what it wanted with a message.
func (x *sendFate) leaks(row *Wiretap) bool {
	return (x.clear || row.Means == Weaken && x.at >= 0) && x.at < x.touched+day
}

// messageFigures compares what became of each message with what would have
// without us.
func (r *sendRun) messageFigures(f *SendFigures, base *sendRun) {
	by := make(map[*Destination]*PlaceFigures)
	for i := range destinations {
		f.Places = append(f.Places, PlaceFigures{Kind: &destinations[i]})
	}
	for i := range f.Places {
		by[f.Places[i].Kind] = &f.Places[i]
	}
	for i := range r.w.places {
		by[r.w.places[i].kind].Places++
	}
	var waits []int64
	for n := range r.fates {
		x, without := &r.fates[n], &base.fates[n]
		p := by[r.w.places[r.w.letters[n].to].kind]
		if x.at < 0 && without.at >= 0 {
			f.Returned++
			p.Returned++
		}
		late := x.at > without.at
		switch {
		case x.tap >= 0 || without.tap >= 0:
			continue
		case x.walled || without.walled:
			f.Walled += one(late)
			continue
		case late:
			p.Delayed++
			waits = append(waits, (x.at-without.at)/minute)
		}
		p.Messages++
		f.Messages++
	}
	f.Delayed = len(waits)
	f.Median = quantile(waits, 0.5)
	if len(waits) > 0 {
		f.Most = slices.Max(waits)
	}
}

func (f *SendFigures) perMillion() int { return f.Delayed * 1_000_000 / max(f.Messages, 1) }

// Aims holds the figures of our defaults against what they are to reach.
func (f *SendFigures) Aims() []Aim {
	stopped := percent(f.Stopped, f.Attacks)
	return []Aim{
		{"attacks on destinations met on eight days, stopped at the first message", "96 %", fmt.Sprintf("%d of %d (%.1f %%)", f.Stopped, f.Attacks, stopped), stopped >= 96},
		{"messages delayed wrongly, of a million", "at most 300", comma(f.perMillion()), f.perMillion() <= 300},
		{"messages returned", "none", comma(f.Returned), f.Returned == 0},
		{"destinations held before our own firewall stripped, and after it", "99 %", fmt.Sprintf("%s of %s", comma(f.Kept), comma(f.Held)), percent(f.Kept, f.Held) >= 99},
	}
}
