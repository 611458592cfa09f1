package outbound

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"tlsratchet/tlsstate"
)

// outage distinguishes one destination that fails from many at once, which is our own
// network: a firewall that strips STARTTLS for all. Days in an outage teach
// nothing, so pins outlive it; mail is released after as many days as for a
// single destination, for it must not be returned.
type outage struct {
	// report, if not nil, is called with each outage that began or ended.
	report func(OutageState)
	mu     sync.Mutex
	s      OutageState
	// reached has the networks in which destinations were reached over TLS while
	// others failed, and when.
	reached map[string]time.Time
	expired time.Time // when those that are too old were last looked for
}

// An operator's wishes for the outage breaker.
const (
	// Release lets all mail go, whatever fails; [[send]] rows stay.
	Release = "release"
	// Hold takes no failures for an outage: each pin counts its own days.
	Hold = "hold"
	// Auto ends the override.
	Auto = "auto"
)

type failure struct {
	// Since is the first time in a row, At the last one.
	Since   time.Time `json:"since"`
	At      time.Time `json:"at"`
	Network string    `json:"network,omitempty"`
}

// OutageState is what is known of an outage, for people and for the next start.
type OutageState struct {
	// Since is when many destinations began to fail; zero for no outage.
	Since time.Time `json:"since,omitzero"`
	// Failing are the pinned destinations that failed and were not reached over
	// TLS since.
	Failing map[string]failure `json:"failing,omitempty"`
	// Override is an operator's wish, [Release] or [Hold]; "" for none.
	Override string `json:"override,omitempty"`
}

// Names are the failing destinations, sorted.
func (s OutageState) Names() []string { return slices.Sorted(maps.Keys(s.Failing)) }

const (
	outageNames  = 10
	outageWindow = 10 * time.Minute
	// outageMemory is how long a destination that nobody sends to counts as
	// failing.
	outageMemory = 24 * time.Hour
	maxFailing   = 10_000
)

// with calls a function with the lock held, and then reports what changed.
func (o *outage) with(do func()) {
	o.mu.Lock()
	before := o.s.Since
	do()
	changed := o.s.Since != before && o.report != nil
	o.mu.Unlock()
	if changed {
		o.report(o.state())
	}
}

// fail notes that a pinned destination failed. It reports whether there is an
// outage.
func (o *outage) fail(domain, network string, now time.Time) (is bool) {
	o.with(func() {
		o.expire(now)
		f := o.s.Failing[domain]
		// No host is named while Postfix suspends it.
		note(&o.s.Failing, maxFailing, domain, failure{Since: cmp.Or(f.Since, now), At: now, Network: cmp.Or(network, f.Network)})
		if o.s.Since.IsZero() && o.begins(now) {
			o.s.Since = now
		}
		_, noted := o.s.Failing[domain] // else it counts its own days
		is = noted && !o.s.Since.IsZero() && o.s.Override != Hold
	})
	return is
}

// note sets an entry. Beyond most only those that are there change.
func note[V any](all *map[string]V, most int, key string, v V) {
	if *all == nil {
		*all = make(map[string]V)
	}
	if _, known := (*all)[key]; known || len(*all) < most {
		(*all)[key] = v
	}
}

// begins reports whether so many failed within the window that it is an outage: more than
// were reached. Those of one network count once: a provider's customers fail together for
// its own reasons.
func (o *outage) begins(now time.Time) bool {
	networks := make(map[string]bool)
	for name, f := range o.s.Failing {
		if now.Sub(f.At).Abs() <= outageWindow {
			networks[cmp.Or(f.Network, name)] = true
		}
	}
	return len(networks) > max(outageNames, count(o.reached, now.Add(-outageWindow)))
}

// count returns how many networks were reached after a time.
func count(reached map[string]time.Time, after time.Time) (n int) {
	for _, at := range reached {
		if at.After(after) {
			n++
		}
	}
	return n
}

// met notes that a destination was reached over TLS.
func (o *outage) met(domain, network string, now time.Time) {
	o.with(func() {
		if len(o.s.Failing) == 0 {
			return
		}
		delete(o.s.Failing, domain)
		note(&o.reached, maxFailing, cmp.Or(network, domain), now)
		o.expire(now)
		o.endIfOver()
	})
}

// expire forgets what was too long ago, once a minute: it is part of each look-up.
func (o *outage) expire(now time.Time) {
	if now.Sub(o.expired).Abs() < time.Minute {
		return
	}
	o.expired = now
	maps.DeleteFunc(o.s.Failing, func(_ string, f failure) bool { return now.Sub(f.At).Abs() > outageMemory })
	maps.DeleteFunc(o.reached, func(_ string, at time.Time) bool { return now.Sub(at).Abs() > outageMemory })
	o.endIfOver()
}

// endIfOver ends an outage, if few are left that fail, or more are reached.
func (o *outage) endIfOver() {
	if o.s.Since.IsZero() {
		return // reached has nothing to be counted for
	}
	if len(o.s.Failing) <= outageNames/2 || count(o.reached, o.s.Since) > len(o.s.Failing) {
		o.s.Since = time.Time{}
	}
}

// releases reports whether mail is let go because of an outage: at once where
// that is configured, else on the day on which the destination would be released
// for itself. Names of somebody's own that fail release nobody else.
func (o *outage) releases(domain string, now time.Time, atOnce bool, afterDays int) (yes bool) {
	o.with(func() {
		o.expire(now)
		switch {
		case o.s.Override != "":
			yes = o.s.Override == Release
		case !o.s.Since.IsZero():
			f, fails := o.s.Failing[domain]
			yes = atOnce || fails && int(tlsstate.DayOf(now))-int(tlsstate.DayOf(f.Since)) >= afterDays-1
		}
	})
	return yes
}

// state returns a copy.
func (o *outage) state() OutageState {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.s
	s.Failing = maps.Clone(s.Failing)
	return s
}

// Override makes an operator's wish count: [Release], [Hold], or [Auto] for none.
// It is part of the state that is kept.
func (b *Outbound) Override(wish string) {
	b.outage.mu.Lock()
	defer b.outage.mu.Unlock()
	if b.outage.s.Override = wish; wish == Auto {
		b.outage.s.Override = ""
	}
}

// overrideWords says what an operator's wish does.
var overrideWords = map[string]string{
	Release: "an operator lets all mail go, until tlsratchet outbound --set auto",
	Hold:    "an operator decided that failures are no outage, until tlsratchet outbound --set auto",
}
