package outbound

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/tlsstate"
)

// outage distinguishes one destination that fails from many at once, which is our own
// network: a firewall that strips STARTTLS for all. Days in an outage teach
// nothing, so pins outlive it; mail is released after as many days as for a
// single destination, for it must not be returned.
type outage struct {
	mu      sync.Mutex
	since   time.Time // zero: there is none
	failing map[string]failure
	// reached has the networks in which destinations were reached over TLS while
	// others failed, and when.
	reached map[string]time.Time
	expired time.Time // when those that are too old were last looked for
	// override is an operator's wish: Release, Hold, or "" for none.
	override string
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
func (s OutageState) Names() (all []string) {
	for n := range s.Failing {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

const (
	outageNames  = 10
	outageWindow = 10 * time.Minute
	// outageMemory is how long a destination that nobody sends to counts as
	// failing.
	outageMemory = 24 * time.Hour
	maxFailing   = 1000
)

// fail notes that a pinned destination failed. It reports whether there is an
// outage, and whether one began or ended with this.
func (o *outage) fail(domain, network string, now time.Time) (is, changed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.since
	o.expire(now)
	note(&o.failing, domain, failure{At: now, Network: network})
	if o.since.IsZero() && o.begins(now) {
		o.since = now
	}
	return !o.since.IsZero() && o.override != Hold, o.since != before
}

// note sets an entry. Beyond maxFailing only those that are there change.
func note[V any](all *map[string]V, key string, v V) {
	if *all == nil {
		*all = make(map[string]V)
	}
	if _, known := (*all)[key]; known || len(*all) < maxFailing {
		(*all)[key] = v
	}
}

// begins reports whether so many fail together that it is an outage: more than are
// reached meanwhile.
func (o *outage) begins(now time.Time) bool {
	n := o.together(now)
	return n > outageNames && n > count(o.reached, now.Add(-outageWindow))
}

// together counts the destinations that failed within the window, those of one
// network once: a provider's customers fail together for its own reasons.
func (o *outage) together(now time.Time) int {
	networks := make(map[string]bool)
	for name, f := range o.failing {
		if now.Sub(f.At).Abs() <= outageWindow {
			networks[cmp.Or(f.Network, name)] = true
		}
	}
	return len(networks)
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

// met notes that a destination was reached over TLS. It reports whether that
// ended an outage.
func (o *outage) met(domain, network string, now time.Time) (ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.failing) == 0 {
		return false
	}
	delete(o.failing, domain)
	note(&o.reached, cmp.Or(network, domain), now)
	expired := o.expire(now)
	return o.over() || expired
}

// expire forgets what was too long ago, once a minute: it is part of each look-up.
// It reports whether that ended an outage.
func (o *outage) expire(now time.Time) (ended bool) {
	if now.Sub(o.expired).Abs() < time.Minute {
		return false
	}
	o.expired = now
	maps.DeleteFunc(o.failing, func(_ string, f failure) bool { return now.Sub(f.At).Abs() > outageMemory })
	maps.DeleteFunc(o.reached, func(_ string, at time.Time) bool { return now.Sub(at).Abs() > outageMemory })
	return o.over()
}

// over ends an outage, if few are left that fail, or more are reached.
func (o *outage) over() (ended bool) {
	if o.since.IsZero() || len(o.failing) > outageNames/2 && count(o.reached, o.since) <= len(o.failing) {
		return false
	}
	o.since = time.Time{}
	return true
}

// releases reports whether mail is let go because of an outage: at once where
// that is configured, else on the day on which a single destination is released.
// It reports, too, whether an outage ended.
func (o *outage) releases(now time.Time, atOnce bool, afterDays int) (yes, ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	ended = o.expire(now)
	if o.since.IsZero() || o.override != "" {
		return o.override == Release, ended
	}
	return atOnce || int(tlsstate.DayOf(now))-int(tlsstate.DayOf(o.since)) >= afterDays-1, false
}

// is reports whether there is an outage.
func (o *outage) is() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.since.IsZero()
}

func (o *outage) state() OutageState {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := OutageState{Since: o.since, Failing: make(map[string]failure, len(o.failing)), Override: o.override}
	for name, f := range o.failing {
		s.Failing[name] = f
	}
	return s
}

func (o *outage) restore(s OutageState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.since, o.failing, o.override = s.Since, s.Failing, s.Override
}

// Override makes an operator's wish count: [Release], [Hold], or [Auto] for none.
// It is part of the state that is kept.
func (b *Outbound) Override(wish string) error {
	switch wish {
	case Auto:
		wish = ""
	case Release, Hold:
	default:
		return fmt.Errorf("unknown answer %q: use auto, hold or release", clean.Text(wish, 40))
	}
	b.outage.mu.Lock()
	defer b.outage.mu.Unlock()
	b.outage.override = wish
	return nil
}

// overrideWords says what an operator's wish does.
var overrideWords = map[string]string{
	Release: "an operator lets all mail go, until tlsratchet outbound --set auto",
	Hold:    "an operator takes no failures for an outage, until tlsratchet outbound --set auto",
}
