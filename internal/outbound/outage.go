package outbound

import (
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
	mu      sync.Mutex
	since   time.Time // zero: there is none
	failing map[string]failure
}

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
// outage, and whether it began with this.
func (o *outage) fail(domain, network string, now time.Time) (is, began bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expire(now)
	if o.failing == nil {
		o.failing = make(map[string]failure)
	}
	if _, known := o.failing[domain]; known || len(o.failing) < maxFailing {
		o.failing[domain] = failure{At: now, Network: network}
	}
	if o.since.IsZero() && o.together(now) > outageNames {
		o.since, began = now, true
	}
	return !o.since.IsZero(), began
}

// together counts the destinations that failed within the window, those of one
// network once: a provider's customers fail together for its own reasons.
func (o *outage) together(now time.Time) int {
	networks := make(map[string]bool)
	for name, f := range o.failing {
		if now.Sub(f.At).Abs() <= outageWindow {
			if f.Network == "" {
				f.Network = name
			}
			networks[f.Network] = true
		}
	}
	return len(networks)
}

// met notes that a destination was reached over TLS. It reports whether that
// ended an outage: few are left that fail.
func (o *outage) met(domain string, now time.Time) (ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.failing) == 0 {
		return false
	}
	delete(o.failing, domain)
	return o.expire(now)
}

func (o *outage) expire(now time.Time) (ended bool) {
	for name, f := range o.failing {
		if now.Sub(f.At).Abs() > outageMemory {
			delete(o.failing, name)
		}
	}
	if !o.since.IsZero() && len(o.failing) <= outageNames/2 {
		o.since, ended = time.Time{}, true
	}
	return ended
}

// releases reports whether mail is let go because of an outage: at once where
// that is configured, else on the day on which a single destination is released.
func (o *outage) releases(now time.Time, atOnce bool, afterDays int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.expire(now); o.since.IsZero() {
		return false
	}
	return atOnce || int(tlsstate.DayOf(now))-int(tlsstate.DayOf(o.since)) >= afterDays-1
}

func (o *outage) state() OutageState {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := OutageState{Since: o.since, Failing: make(map[string]failure, len(o.failing))}
	for name, f := range o.failing {
		s.Failing[name] = f
	}
	return s
}

func (o *outage) restore(s OutageState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.since, o.failing = s.Since, s.Failing
}
