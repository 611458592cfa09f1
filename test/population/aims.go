package population

import "fmt"

// Aim is one thing that our defaults are to reach.
type Aim struct {
	Name, Want, Got string
	Met             bool
}

// Aims holds the figures of our defaults against what they are to reach.
func (f *Figures) Aims() []Aim {
	caught := percent(f.First+f.Later, f.Attacks)
	delayed, wrong := f.perMillion(f.Delayed), f.aDay(f.Wrong)
	return []Aim{
		{"attacks on a pinned address, caught at the first stripped message", "all", fmt.Sprintf("%d of %d", f.KnownFirst, f.Known), f.KnownFirst == f.Known},
		{"attacks caught in all", "98 %", fmt.Sprintf("%.1f %%", caught), caught >= 98},
		{"legitimate messages delayed, of a million", "at most 700", comma(delayed), delayed <= 700},
		{"legitimate messages lost", "none", comma(f.Lost), f.Lost == 0},
		{"domains delayed by our own outage", "at most 10", comma(f.OutageDomains), f.OutageDomains <= 10},
		{"others' messages that poisoning, floods and the breaker trick touched", "none", comma(f.Others), f.Others == 0},
		{"wrong alerts a day, in a world of a million messages", "at most 1", fmt.Sprintf("%.2f", wrong), wrong <= 1},
	}
}
