package outbound

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// Options are what an [Outbound] works with.
type Options struct {
	// Histories is the memory. Required.
	Histories ratchet.Histories
	// Settings are what a reload may change. Required.
	Settings Settings
	// Events is called for each delivery that was judged. What the event points to is
	// only lent. Required.
	Events func(ratchet.Event)
	// Outage, if not nil, is called when many destinations begin to fail at
	// once, and when that ends.
	Outage func(OutageState)
	// Lines, if not nil, returns how many lines of Postfix's log were read.
	Lines func() uint64
	// Writes, if not nil, reports whether what is seen on a day may be remembered.
	Writes func(tlsstate.Day) bool
	// Now is the clock. Required.
	Now func() time.Time
	// Log is where held and released mail is reported. Required.
	Log *slog.Logger
}

// Settings are the configuration of the sending side.
type Settings struct {
	// Rules are the policy and its rows. [tlsstate.Tempfail] for Stripped means
	// that mail is held.
	Rules *tlsstate.Rules
	// Least is the least level of a pin that is held.
	Least tlsstate.Level
	// ReleaseOnOutage answers nothing while many destinations fail at once.
	ReleaseOnOutage bool
	// Permission is what Postfix's own settings allow.
	Permission Permission
}

// noAddr: rules and quotas of the sending side go by domain.
var noAddr netip.Addr

// Outbound answers look-ups and learns from deliveries. Its methods may be
// called at the same time.
type Outbound struct {
	o        Options
	shared   ratchet.Shared // nil for a memory of this host's own
	settings atomic.Pointer[Settings]
	names    names
	asked    asked
	outage   outage
	waiting  waiting
	tally    sentTally
	counts   counts
	failed   atomic.Int64 // unix minute of the last failure that was logged
	sight    sight
}

// New returns an Outbound. What was kept of an earlier one is given to
// [Outbound.Restore].
func New(o Options) *Outbound {
	b := &Outbound{o: o}
	b.asked.by, _ = simplelru.NewLRU[uint32, []lookup](maxAskers, nil) // its error is a size of 0
	b.shared, _ = o.Histories.(ratchet.Shared)
	b.outage.report = o.Outage
	b.settings.Store(&o.Settings)
	return b
}

// SetSettings replaces the settings.
func (b *Outbound) SetSettings(s Settings) { b.settings.Store(&s) }

// fresh is how old what other hosts know of a destination may be.
const fresh = time.Minute

// Answer reports whether mail for the key is to be encrypted; it is an
// [Answerer]. Whatever goes wrong inside, the answer is no.
func (b *Outbound) Answer(key []byte, pid uint32) bool {
	if len(key) == 0 || key[0] == '.' {
		return false
	}
	n := b.names.find(key)
	b.names.addRoute(n.route)
	now := b.o.Now()
	encrypt := false
	if !n.id.IsZero() {
		if b.shared != nil {
			b.shared.Refresh(fresh, n.id)
		}
		h, ok := b.load(n.id)
		encrypt = ok && b.holds(n, h, now)
		if b.o.Lines != nil {
			b.sight.asked(b.o.Lines(), now)
			n.sight.asked(n.seen.Load(), now)
		}
		if why := n.blind(now); n.held.Swap(encrypt) && !encrypt && why != "" {
			b.o.Log.Warn("destination is not held any more", "destination", n.id.Name, "reason", why)
		}
	}
	b.asked.note(pid, lookup{name: n, at: now, encrypt: encrypt})
	return encrypt
}

// sight is whether the log shows what was asked for: without it no release can be
// counted.
type sight struct {
	mu sync.Mutex
	// Since then mail was sent, last at last, and no more was seen than this.
	seen        uint64
	since, last time.Time
}

const (
	// blindAfter is for how long mail is held unseen: it must not be returned.
	blindAfter = 48 * time.Hour
	// quietAfter is longer than Postfix waits before it tries again: an hour unless
	// changed. Who sends nothing has no lines.
	quietAfter = 24 * time.Hour
)

func (s *sight) asked(seen uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen != seen || now.Sub(s.last) > quietAfter {
		s.seen, s.since = seen, now
	}
	s.last = now
}

// blind returns why nothing is held, or "": Postfix asks, but seen has not grown for long.
func (s *sight) blind(seen uint64, now time.Time, what string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen != seen || now.Sub(s.last) > quietAfter || now.Sub(s.since) <= blindAfter {
		return ""
	}
	return fmt.Sprintf("no %s was read since %s, so that a release could not be counted", what, s.since.UTC().Format(time.RFC3339))
}

// Blind returns why no pin is held though Postfix's settings allow it, or "".
func (b *Outbound) Blind() string {
	if b.o.Lines == nil {
		return ""
	}
	return b.sight.blind(b.o.Lines(), b.o.Now(), "line of Postfix's log")
}

// blind returns why a destination is not held though others are, or "".
func (n *name) blind(now time.Time) string {
	return n.sight.blind(n.seen.Load(), now, "delivery to it")
}

// load returns what is known of an identity. ok is false where that failed.
func (b *Outbound) load(id tlsstate.Identity) (h tlsstate.History, ok bool) {
	h, err := b.o.Histories.Load(id)
	if err != nil {
		b.fail(fmt.Errorf("loading %s: %w", id, err))
	}
	return h, err == nil
}

// Asked reports whether Postfix ever asked: our table is in its list.
func (b *Outbound) Asked() bool { return b.asked.ever.Load() }

// holds reports whether the answer is "encrypt".
func (b *Outbound) holds(n *name, h tlsstate.History, now time.Time) bool {
	s := b.settings.Load()
	rule := s.Rules.For(noAddr, n.id.Name)
	if rule.Stripped < tlsstate.Tempfail || !s.Permission.Allowed {
		return false
	}
	v := stripped(h, tlsstate.DayOf(now), rule)
	return s.wouldHold(&v) &&
		(v.Required || b.Blind() == "" && n.blind(now) == "" && !b.outage.releases(n.id.Name, now, s.ReleaseOnOutage, rule.ReleaseAfterDays))
}

// stripped returns the verdict on a delivery in clear on a day.
func stripped(h tlsstate.History, today tlsstate.Day, rule *tlsstate.Policy) tlsstate.Verdict {
	v, _ := tlsstate.Judge(h, tlsstate.Observation{Day: today}, rule)
	return v
}

// wouldHold reports whether a verdict on a delivery in clear is a reason to hold
// it: a wish of the configuration, or a pin at a level that "encrypt" can keep.
func (s *Settings) wouldHold(v *tlsstate.Verdict) bool {
	return v.Outcome == tlsstate.Downgraded && v.Kind == tlsstate.Stripped && (v.Required || v.Pin >= s.Least)
}

// fail counts a failure inside, and logs one a minute.
func (b *Outbound) fail(err error) {
	b.counts.add(&b.counts.Failures)
	if now := b.o.Now().Unix() / 60; b.failed.Swap(now) != now {
		b.o.Log.Error("sending side: a decision failed; Postfix delivers as without tlsratchet", "error", err)
	}
}
