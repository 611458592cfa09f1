package main

import (
	"fmt"
	"slices"
	"time"
)

// result is what one fault did.
type result struct {
	fault, version string
	lasted         time.Duration
	// judged and unjudged are sessions during the fault; of those in clear from
	// pinned peers, stripped came and caught were noticed.
	judged, unjudged, stripped, caught int
	// why is why the last session was not judged.
	why error
	// alone and during are how long the sessions in clear took, without a
	// server and with a failing one: those are the ones that ask.
	alone, during []time.Duration
	// settled is how long after the fault all hosts knew the same.
	settled time.Duration
	// lost are histories that lack something that some host saw, on any host.
	lost int
}

// added is what the issue of a fault may cost.
const added = 60 * time.Millisecond

func (r *result) asPromised() bool {
	return r.unjudged == 0 && r.caught == r.stripped && r.lost == 0 && p99(r.during)-p99(r.alone) <= added
}

func (r *result) row() string {
	return fmt.Sprintf("| %s | %s | %s | %d of %d | %d of %d | %s | %s | %s | %s | %d |",
		r.fault, r.version, r.lasted, r.judged, r.judged+r.unjudged, r.caught, r.stripped,
		short(p99(r.alone)), short(p99(r.during)), short(slices.Max(append(r.during, 0))),
		r.settled.Round(100*time.Millisecond), r.lost)
}

func p99(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	took = slices.Sorted(slices.Values(took))
	return took[len(took)*99/100]
}

// short is a duration with two digits that count.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Microsecond:
		return d.Round(100 * time.Nanosecond).String()
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}
