package outbound

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tlsratchet/internal/maillog"
	"tlsratchet/internal/peer"
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
	// done is set once a delivery to this very domain, or a probe, has used it: it is no
	// other's. host took the first delivery by way of it.
	done bool
	host string
}

const (
	// maxAskers bounds the processes that are remembered.
	maxAskers = 1 << 13
	// maxLookups are more than a process makes until its log lines are read.
	maxLookups = 16
	// logGrain is how far the times of a log may be off: it has whole seconds, and
	// Postfix rounds delays.
	logGrain = 1100 * time.Millisecond
)

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
	a.by.Add(pid, append(all[max(0, len(all)-maxLookups+1):], l))
}

// nexthop returns what was asked for a delivery. ok is false where that can't be
// known, or is no destination. A name alone, without a look-up of the process, has no
// time.
func (b *Outbound) nexthop(d *maillog.Delivery) (l lookup, ok bool) {
	recipients := b.names.find([]byte(d.Domain))
	l, ok, decided := b.asked.nexthop(d, recipients, b.settings.Load().Permission.Fallbacks)
	switch {
	case decided && !ok && l.name != nil: // a fallback relay's, perhaps: its connections are cached too
		b.names.addRoute(d.Host)
	case !decided:
		// A cached connection is found without a look-up; and without our table in
		// Postfix, or of another host's process, there are none.
		known := (recipients.asked.Load() || !b.Asked()) && !(IsInside(d) && (d.PID == 0 || !b.Asked()))
		l, ok = lookup{name: recipients}, known && !recipients.id.IsZero()
	}
	if ok = ok && (decided && !d.Reused || !b.isRoute(d.Host)); ok {
		l.name.seen.Add(1)
	} else if d.Status == maillog.Sent && d.PID != 0 {
		recipients.seen.Add(1) // by another way: this host's mail does not wait
	}
	return l, ok
}

// IsInside reports whether a relay is at an address of our own network: a content
// filter or a mail store, if nothing else is known of it.
func IsInside(d *maillog.Delivery) bool {
	ip, err := netip.ParseAddr(d.Addr)
	return err == nil && (ip.IsLoopback() || ip.IsPrivate())
}

// isRoute reports whether the administrator sends mail to this host: it is a relayhost
// or a fallback relay, Postfix asked for it in brackets, its next-hop is no
// destination, or its name is one that no MX record has.
func (b *Outbound) isRoute(host string) bool {
	if host == "" { // none: Postfix suspended the destination
		return false
	}
	return !isMX(host) || slices.Contains(b.settings.Load().Permission.Relays, strings.ToLower(host)) || b.names.find([]byte(host)).isRoute.Load()
}

// isMX reports whether a host may stand in an MX record: a name, and no address (RFC
// 5321 section 5.1).
func isMX(host string) bool {
	_, err := netip.ParseAddr(host)
	return err != nil && strings.Contains(host, ".")
}

// nexthop decides by the process' own look-ups, if they can. Those for the domain of
// the recipients that were made before are done then.
func (a *asked) nexthop(d *maillog.Delivery, recipients *name, fallbacks []string) (l lookup, ok, decided bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	via, named := peer.Domain(d.Host, noAddr)
	if d.PID == 0 && named && recipients.via != "" && recipients.via != via {
		return lookup{}, false, true // another host passes it on, perhaps
	}
	all, _ := a.by.Get(d.PID)
	defer func() {
		if ok && named {
			l.name.via = via
		}
		for i := range all {
			if u := &all[i]; u.at.Sub(d.At) <= logGrain {
				u.done = u.done || u.name.key == recipients.key || d.Status == 0
				if u.name == l.name {
					u.host = cmp.Or(u.host, d.Host)
				}
			}
		}
	}()
	var fresh []lookup // the newest first
	own := func() int {
		return slices.IndexFunc(fresh, func(l lookup) bool { return l.name.key == recipients.key })
	}
	for _, l := range slices.Backward(all) {
		switch {
		case d.At.Sub(l.at) > d.Took+d.Took/10+logGrain, l.at.Sub(d.At) > logGrain: // for another delivery
		case l.name.key != recipients.key && (l.done || l.host != "" && l.host != d.Host): // a table before ours answered for this domain
		case l.name.route != "" && l.name.route == strings.ToLower(d.Host):
			return lookup{}, false, true // a route of the administrator's
		case l.name.key != recipients.key && slices.Contains(fallbacks, l.name.key) && own() < 0:
			return l, false, true // the destination itself was asked for before, and failed
		default:
			fresh = append(fresh, l)
		}
	}
	if i := own(); i >= 0 {
		return fresh[i], !fresh[i].name.id.IsZero(), true
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
