// Package measure turns what a load generator saw into figures: rates and
// quantiles of single runs, and medians over interleaved rounds.
//
// On a machine that others share, only figures of the same round compare, so
// ratios are taken round by round, and the middle of those is what counts.
package measure

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Run is one run of a load generator.
type Run struct {
	// Took is the time from the first session's begin to the last one's end.
	Took time.Duration
	// Waits is how long each message waited for its answers, in any order.
	Waits []time.Duration
	// CPU is what the contestant's process worked meanwhile, 0 if unknown;
	// System what it and the mail server worked.
	CPU, System time.Duration
	// Switches is how often threads of both were put on a processor.
	Switches int
}

// Figures are what a run comes to.
type Figures struct {
	// Rate is in messages a second.
	Rate float64
	// P50 and P99 are quantiles of the waits.
	P50, P99 time.Duration
	// CPU and System are a message's part of the processor time.
	CPU, System time.Duration
	// Switches is how often a message had threads put on a processor.
	Switches float64
}

// Figures returns the figures of the run. It sorts Waits.
func (r Run) Figures() Figures {
	slices.Sort(r.Waits)
	f := Figures{P50: Quantile(r.Waits, 0.5), P99: Quantile(r.Waits, 0.99)}
	if r.Took > 0 {
		f.Rate = float64(len(r.Waits)) / r.Took.Seconds()
	}
	if len(r.Waits) > 0 {
		f.CPU = r.CPU / time.Duration(len(r.Waits))
		f.System = r.System / time.Duration(len(r.Waits))
		f.Switches = float64(r.Switches) / float64(len(r.Waits))
	}
	return f
}

// Undisturbed adds up the half of the runs that cost the system least: what else
// a machine does makes a run dearer, and never cheaper. The runs must be of one
// length. It sorts them.
func Undisturbed(runs []Run) (sum Run) {
	slices.SortFunc(runs, func(a, b Run) int { return cmp.Compare(a.System, b.System) })
	for _, r := range runs[:(len(runs)+1)/2] {
		sum.Took += r.Took
		sum.Waits = append(sum.Waits, r.Waits...)
		sum.CPU += r.CPU
		sum.System += r.System
		sum.Switches += r.Switches
	}
	return sum
}

// Quantile returns the smallest value that at least the part p, from 0 to 1,
// of all does not exceed; 0 if there are none. The values must be sorted.
func Quantile[T ~int64](sorted []T, p float64) T {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(p * float64(len(sorted)))
	if float64(rank) < p*float64(len(sorted)) {
		rank++
	}
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Median returns the middle value, or the mean of the two in the middle; 0 if
// there are none.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// Get takes one figure.
type Get func(Figures) float64

// Rate takes the messages a second.
func Rate(f Figures) float64 { return f.Rate }

// P50 takes the median wait, in seconds.
func P50(f Figures) float64 { return f.P50.Seconds() }

// P99 takes the 99th percentile of the waits, in seconds.
func P99(f Figures) float64 { return f.P99.Seconds() }

// CPU takes a message's part of the processor time, in seconds.
func CPU(f Figures) float64 { return f.CPU.Seconds() }

// System takes a message's part of the whole system's processor time, in
// seconds.
func System(f Figures) float64 { return f.System.Seconds() }

// Switches takes a message's context switches.
func Switches(f Figures) float64 { return f.Switches }

// Series are the rounds of one contestant.
type Series []Figures

// Median returns the median of one figure over the rounds.
func (s Series) Median(get Get) float64 { return Median(s.each(get)) }

// Mean returns the mean of one figure over the rounds, for what is counted in
// steps too coarse for one round.
func (s Series) Mean(get Get) float64 {
	sum := 0.0
	for _, v := range s.each(get) {
		sum += v
	}
	return sum / float64(max(len(s), 1))
}

// Range returns the least and the greatest of one figure over the rounds.
func (s Series) Range(get Get) (least, most float64) {
	if len(s) == 0 {
		return 0, 0
	}
	all := s.each(get)
	return slices.Min(all), slices.Max(all)
}

// Ratio returns the middle of this one's figure divided by the other's in the same
// round; 0 if there is no round that both have.
func (s Series) Ratio(other Series, get Get) float64 { return s.Ratios(other, get).Middle }

// Ratios estimates what Ratio returns.
func (s Series) Ratios(other Series, get Get) Estimate {
	var all []float64
	for i := range min(len(s), len(other)) {
		if base := get(other[i]); base > 0 {
			all = append(all, get(s[i])/base)
		}
	}
	return estimate(all)
}

// Estimate is the middle of figures of rounds, and the range that holds the true one in
// 19 of 20 cases. It is Hodges and Lehmann's: of the means of all pairs, which for
// figures like these says as much as a median of half as many rounds more.
type Estimate struct{ Middle, Low, High float64 }

// Above estimates how much more one figure is than the other's in the same
// round.
func (s Series) Above(other Series, get Get) Estimate { return s.Excess(other, 0, other, get) }

// Excess estimates how much more than this share of another's figure one is,
// both above the base of the same round.
func (s Series) Excess(base Series, share float64, other Series, get Get) Estimate {
	var all []float64
	for i := range min(len(s), len(base), len(other)) {
		zero := get(base[i])
		all = append(all, get(s[i])-zero-share*(get(other[i])-zero))
	}
	return estimate(all)
}

// estimate takes the range from Wilcoxon's test: whatever the distribution, if it is as
// wide to both sides.
func estimate(values []float64) Estimate {
	if len(values) == 0 {
		return Estimate{}
	}
	var means []float64
	for i, v := range values {
		for _, w := range values[i:] {
			means = append(means, (v+w)/2)
		}
	}
	slices.Sort(means)
	n := float64(len(values))
	low := int(max(0, n*(n+1)/4-1.96*math.Sqrt(n*(n+1)*(2*n+1)/24)))
	return Estimate{Median(means), means[low], means[len(means)-1-low]}
}

func (s Series) each(get Get) []float64 {
	all := make([]float64, len(s))
	for i, f := range s {
		all[i] = get(f)
	}
	return all
}
