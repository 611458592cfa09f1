package outbound

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tlsratchet/internal/maillog"
)

// asked remembers who asked for what: no line of the log has the next-hop, but
// the process that asked for its policy stands in the log.
type asked struct {
	ever atomic.Bool
	mu   sync.Mutex
	// by has the newest look-ups of a process, the newest last.
	by *simplelru.LRU[uint32, []lookup]
}

type lookup struct {
	name    *name
	at      time.Time
	encrypt bool
}

const (
	// maxAskers bounds the processes that are remembered.
	maxAskers = 1 << 13
	// maxLookups are more than a process makes until its log lines are read.
	maxLookups = 16
	// lookupAge is how long a delivery may take after its look-up.
	lookupAge = time.Hour
	// logGrain is how far the time of a log line may be before that of the
	// look-up: logs have whole seconds.
	logGrain = 1100 * time.Millisecond
)

func newAsked() *asked {
	by, _ := simplelru.NewLRU[uint32, []lookup](maxAskers, nil) // its error is a size of 0
	return &asked{by: by}
}

// note remembers a look-up. The process is 0 if it is not known.
func (a *asked) note(pid uint32, l lookup) {
	a.ever.Store(true)
	l.name.asked.Store(true)
	if pid == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	all, _ := a.by.Get(pid)
	if n := len(all); n > 0 && all[n-1].name.key == l.name.key {
		all[n-1] = l
		return
	}
	if len(all) == maxLookups {
		all = slices.Delete(all, 0, 1)
	}
	a.by.Add(pid, append(all, l))
}

// nexthop returns what was asked for a delivery. ok is false where that can't be
// known. A name alone, without a look-up of the process, has no time.
func (a *asked) nexthop(d *maillog.Delivery, names *names, fallbacks []string) (l lookup, ok bool) {
	recipients := names.find([]byte(d.Domain))
	a.mu.Lock()
	defer a.mu.Unlock()
	all, _ := a.by.Get(d.PID)
	if l, ok, decided := nexthop(all, d, recipients, fallbacks); decided {
		return l, ok
	}
	// A cached connection is found without a look-up; and without our table in
	// Postfix there are none.
	return lookup{name: recipients}, recipients.asked.Load() || !a.ever.Load()
}

// nexthop decides by the process' own look-ups, if they can.
func nexthop(all []lookup, d *maillog.Delivery, recipients *name, fallbacks []string) (l lookup, ok, decided bool) {
	var fresh []lookup // the newest first
	own := func() int {
		return slices.IndexFunc(fresh, func(l lookup) bool { return l.name.key == recipients.key })
	}
	for _, l := range slices.Backward(all) {
		switch {
		case d.At.Sub(l.at) > lookupAge, l.at.Sub(d.At) > logGrain: // for another delivery
		case l.name.id.IsZero() && strings.HasPrefix(l.name.key, "["+d.Host+"]"):
			return lookup{}, false, true // a route of the administrator's
		case l.name.key != recipients.key && slices.Contains(fallbacks, l.name.key) && own() < 0:
			return lookup{}, false, true // the destination itself was asked for before, and failed
		default:
			fresh = append(fresh, l)
		}
	}
	if i := own(); i >= 0 {
		return fresh[i], true, true
	}
	if d.Reused || d.Suspended || len(fresh) == 0 {
		return lookup{}, false, false
	}
	// The recipient's domain goes by way of another next-hop: the newest, unless
	// two were asked for within the same second.
	if len(fresh) > 1 && fresh[0].at.Sub(fresh[1].at) < 2*logGrain && d.At.Sub(fresh[0].at) < logGrain {
		return lookup{}, false, true
	}
	return fresh[0], !fresh[0].name.id.IsZero(), true
}
