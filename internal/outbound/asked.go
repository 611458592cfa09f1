package outbound

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// asked remembers who asked for what: no line of the log has the next-hop, but
// the process that asked for its policy stands in the log.
type asked struct {
	ever atomic.Bool
	mu   sync.Mutex
	by   map[int32]*lookups
}

// lookups are the newest of one process, the newest last: more than it makes until
// its log lines are read.
type lookups struct {
	n    int
	ring [16]lookup
}

type lookup struct {
	name    *name
	at      time.Time
	encrypt bool
}

const (
	// maxAskers bounds the processes that are remembered.
	maxAskers = 1 << 13
	// lookupAge is how long a delivery may take after its look-up.
	lookupAge = time.Hour
	// logGrain is how far the time of a log line may be before that of the
	// look-up: logs have whole seconds.
	logGrain = 1100 * time.Millisecond
)

// note remembers a look-up.
func (a *asked) note(pid int32, l lookup) {
	a.ever.Store(true)
	l.name.asked.Store(true)
	if pid == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil {
		a.by = make(map[int32]*lookups)
	}
	ring := a.by[pid]
	if ring == nil {
		if len(a.by) >= maxAskers {
			a.forgetOld(l.at)
		}
		ring = &lookups{}
		a.by[pid] = ring
	}
	if last := ring.newest(0); last != nil && last.name.key == l.name.key {
		*last = l
		return
	}
	ring.ring[ring.n%len(ring.ring)] = l
	ring.n++
}

func (a *asked) forgetOld(now time.Time) {
	for pid, ring := range a.by {
		if now.Sub(ring.newest(0).at) > time.Minute {
			delete(a.by, pid)
		}
	}
	if len(a.by) >= maxAskers {
		clear(a.by)
	}
}

// newest returns the look-up that i others came after, or nil.
func (r *lookups) newest(i int) *lookup {
	if i >= min(r.n, len(r.ring)) {
		return nil
	}
	return &r.ring[(r.n-1-i)%len(r.ring)]
}

// attempt is what a log line states of a delivery whose next-hop is wanted.
type attempt struct {
	pid          int32
	at           time.Time
	domain, host string // of the recipient, and of the relay
	reused       bool
}

// nexthop returns what was asked for a delivery. ok is false where that can't be
// known. A name alone, without a look-up of the process, has no time.
func (a *asked) nexthop(t attempt, names *names) (l lookup, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	recipients := names.find([]byte(t.domain))
	if ring := a.by[t.pid]; ring != nil {
		if l, ok, decided := ring.nexthop(t, recipients); decided {
			return l, ok
		}
	}
	// A cached connection is found without a look-up; and without our table in
	// Postfix there are none.
	return lookup{name: recipients}, recipients.asked.Load() || !a.ever.Load()
}

// nexthop decides by the process' own look-ups, if they can.
func (r *lookups) nexthop(t attempt, recipients *name) (l lookup, ok, decided bool) {
	var fresh []lookup
	for i := 0; ; i++ {
		l := r.newest(i)
		if l == nil || t.at.Sub(l.at) > lookupAge {
			break
		}
		if l.at.Sub(t.at) > logGrain {
			continue // for a later delivery
		}
		if l.name.id.IsZero() && strings.HasPrefix(l.name.key, "["+t.host+"]") {
			return lookup{}, false, true // a route of the administrator's
		}
		fresh = append(fresh, *l)
	}
	for _, l := range fresh {
		if l.name.key == recipients.key {
			return l, true, true
		}
	}
	if t.reused || len(fresh) == 0 {
		return lookup{}, false, false
	}
	// The recipient's domain goes by way of another next-hop: the newest, unless
	// two were asked for within the same second.
	if len(fresh) > 1 && fresh[0].at.Sub(fresh[1].at) < 2*logGrain && t.at.Sub(fresh[0].at) < logGrain {
		return lookup{}, false, true
	}
	return fresh[0], !fresh[0].name.id.IsZero(), true
}
