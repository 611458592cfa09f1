package incident

import (
	"cmp"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

const (
	// quietHours is after how long without a downgrade an incident closes.
	quietHours = 24 * time.Hour
	// maxAge is how long a closed incident is stored.
	maxAge = 180 * 24 * time.Hour
	// maxIncidents is how many are stored, maxCrowded how many open ones beyond that
	// are known until a restart.
	maxIncidents, maxCrowded = 10_000, 1000

	// growth is how many times larger an incident must get to be reported
	// again, from small on, and growthPause how long after the last report.
	growth, small = 10, 10
	growthPause   = time.Hour
)

// ledger turns events and times into changes. It has no clock, no file and no
// lock.
type ledger struct {
	most int
	last uint64      // the last number given
	all  []*Incident // in the order in which they opened
	// newest is, of each key, the incident that opened last.
	newest map[key]*Incident
	// crowded are some of the open ones for which there was no room. They go on when a
	// message comes: a new one would be reported each time.
	crowded *lru.Cache[key, *Incident]
	watch   watch
	// changes counts what changed, so that it is known when to write.
	changes uint64
}

// key distinguishes incidents.
type key struct {
	identity tlsstate.Identity
	known    bool
}

func newLedger(most int) *ledger {
	crowded, _ := lru.New[key, *Incident](maxCrowded)
	return &ledger{most: most, newest: make(map[key]*Incident), crowded: crowded, watch: watch{by: make(map[string]int)}}
}

// restore puts in the incidents that were read from the file, and the highest
// number that may have been given.
func (l *ledger) restore(all []*Incident, last uint64) {
	slices.SortStableFunc(all, byNumber)
	l.all = slices.CompactFunc(all, func(a, b *Incident) bool { return a.ID == b.ID })
	for _, i := range l.all {
		l.last = i.ID
		l.newest[i.key()] = i
		if i.IsOpen() {
			l.watch.add(i.Clients, 1)
		}
	}
	l.last = max(l.last, last)
}

func byNumber(a, b *Incident) int { return cmp.Compare(a.ID, b.ID) }

// clockNumber is the number to go on from where it is not known which were given:
// the seconds since 1970.
func clockNumber() uint64 { return uint64(time.Now().Unix()) }

func (i *Incident) key() key { return key{i.Identity, i.KnownPlaintext} }

// onEvent adds an event to the incidents.
func (l *ledger) onEvent(e *ratchet.Event) []Change {
	if e.Decision.Outcome == tlsstate.Downgraded {
		return l.downgrade(e)
	}
	return append(l.closeMet(e), l.pinChange(e)...)
}

// downgrade adds a message to its incident, or opens one.
func (l *ledger) downgrade(e *ratchet.Event) []Change {
	k := key{e.Decision.Verdict.Identity, e.Decision.Verdict.KnownPlaintext}
	i, at := l.newest[k], e.Session.At
	var changes []Change
	switch {
	case i == nil, !i.IsOpen() && !i.resumes(at):
		i, changes = l.open(k, at)
	case !i.IsOpen():
		i.Closed, i.ClosedBy, i.Last = time.Time{}, StillOpen, at
		i.Refused, i.Reported.Waiting = time.Time{}, 0
		i.Reopened++
		l.watch.add(i.Clients, 1)
	}
	l.changes++
	before := *i
	i.gather(e)
	l.watch.add(i.Clients[len(before.Clients):], 1)
	what := Opened
	if i.Reported.Open {
		what = Grown
	}
	if i.isNews(&before, at) {
		changes = append(changes, l.report(i, what, at, e))
	}
	return changes
}

// open opens an incident. Where another must make room for it, that is the end of it
// as far as was reported.
func (l *ledger) open(k key, at time.Time) (i *Incident, changes []Change) {
	if len(l.all) >= l.most {
		out := slices.MinFunc(l.all, byLoss)
		if l.drop(out); out.Reported.Open {
			c := l.report(out, Closed, at, nil)
			c.Incident.Closed, c.Incident.ClosedBy = at, NoRoom
			changes = append(changes, c)
		}
	}
	i, _ = l.crowded.Peek(k)
	if l.crowded.Remove(k) && at.Sub(i.Last).Abs() < quietHours {
		l.watch.add(i.Clients, 1)
	} else {
		l.last++
		i = &Incident{ID: l.last, Identity: k.identity, KnownPlaintext: k.known, Opened: at, Last: at}
	}
	n, _ := slices.BinarySearchFunc(l.all, i, byNumber)
	l.all, l.newest[k] = slices.Insert(l.all, n, i), i
	return i, changes
}

// resumes reports whether a closed incident goes on instead of a new one: a
// peer that alternates between TLS and clear is one incident a day. After an
// operator dropped the pin, a new pin is concerned.
func (i *Incident) resumes(at time.Time) bool {
	return i.ClosedBy != Unpinned && (i.KnownPlaintext || at.Sub(i.Closed).Abs() < quietHours)
}

// isNews reports whether the newest message is to be reported: it is the first, or
// the incident is now worse than before (in kind, evidence or applied action),
// larger, or a day older. Between reports that it goes on is a pause, which doubles
// each time.
func (i *Incident) isNews(before *Incident, at time.Time) bool {
	pause := at.Sub(i.Reported.At).Abs()
	larger := i.Messages >= growth*max(i.Reported.Messages, small)
	switch {
	case i.Messages == 1:
		return true
	case i.KnownPlaintext:
		return false
	case i.Kind < before.Kind, i.Cap > before.Cap, i.Strongest() > before.Strongest(), pause >= quietHours:
		return true
	case !i.Reported.Open && i.Reopened > 0 && pause >= min(time.Hour<<min(i.Reopened-1, 5), time.Hour+i.Reported.At.Sub(i.Opened).Abs()):
		return true
	}
	return larger && pause >= growthPause
}

// report returns a change of an incident and records that it is reported. Held mail
// may wait after the incident closed: its reminder leaves the rest as it is. e is
// the message that led to it, or nil.
func (l *ledger) report(i *Incident, what What, at time.Time, e *ratchet.Event) Change {
	l.changes++
	if what == Holding {
		i.Reported.Held = at
	} else {
		i.Reported.Open, i.Reported.At, i.Reported.Messages = what != Closed, at, i.Messages
	}
	c := Change{What: what, At: at, Identity: i.Identity, Incident: i.clone()}
	if e != nil {
		c.Words = clean.Text(words.Verdict(&e.Decision.Verdict), maxText)
	}
	return c
}

// closeMet closes the incidents whose pin the session meets.
func (l *ledger) closeMet(e *ratchet.Event) (changes []Change) {
	v, address := &e.Decision.Verdict, e.Session.Peer.Address.Name
	for _, i := range l.all {
		isOf := func(c Client) bool { return c.Address == address }
		if i.IsOpen() && i.metBy(v) && slices.ContainsFunc(i.Clients, isOf) {
			changes = append(changes, l.close(i, Met, e.Session.At)...)
		}
	}
	return changes
}

// metBy reports whether a session of one of its addresses meets the incident's
// pin.
func (i *Incident) metBy(v *tlsstate.Verdict) bool {
	if i.Kind == tlsstate.Unauthenticated && !v.Seen.Certificate {
		return false
	}
	return v.Seen.Level >= i.Evidence.Pin
}

// close closes an incident. That is reported if its opening was.
func (l *ledger) close(i *Incident, by Reason, at time.Time) []Change {
	i.Closed, i.ClosedBy = at, by
	l.watch.add(i.Clients, -1)
	l.changes++
	if !i.Reported.Open {
		return nil
	}
	return []Change{l.report(i, Closed, at, nil)}
}

// unpinned closes an incident whose pin an operator dropped.
func (l *ledger) unpinned(id uint64, at time.Time) (changes []Change) {
	for _, i := range l.all {
		if i.ID == id && i.IsOpen() {
			changes = l.close(i, Unpinned, at)
		}
	}
	return changes
}

// pinChange returns what an event changes of a pin without an incident.
func (l *ledger) pinChange(e *ratchet.Event) []Change {
	v := &e.Decision.Verdict
	c := Change{At: e.Session.At, Identity: v.Identity}
	switch {
	case v.Pinned():
		c.What = Pinned
	case !e.Decision.Changes:
	case v.State == tlsstate.PinLapsed && v.Below == 1: // the first day of many
		c.What = Lapsed
	case v.State == tlsstate.PinReleased && l.releasedFirst(v.Identity):
		c.What = Released
	}
	if c.What == "" {
		return nil
	}
	c.Words = words.Verdict(v)
	return []Change{c}
}

// releasedFirst reports whether the release of an identity's pin was not
// reported before, and records that it is now.
func (l *ledger) releasedFirst(id tlsstate.Identity) bool {
	i := l.newest[key{identity: id}]
	if i == nil {
		return true
	}
	first := !i.Reported.Released
	i.Reported.Released = true
	l.changes++
	return first
}

// byLoss orders incidents by which to drop first when there are too many: closed ones,
// then those with the shortest pin, then those that have been quiet for longest.
// Whoever makes many incidents drives out his own.
func byLoss(a, b *Incident) int {
	if a.IsOpen() != b.IsOpen() {
		if b.IsOpen() {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.PinDays(), b.PinDays()), a.Last.Compare(b.Last))
}

// drop removes an incident.
func (l *ledger) drop(i *Incident) {
	if i.IsOpen() {
		l.watch.add(i.Clients, -1)
		l.crowded.Add(i.key(), i)
	}
	l.all = slices.DeleteFunc(l.all, func(o *Incident) bool { return o == i })
	if l.newest[i.key()] == i {
		delete(l.newest, i.key())
	}
}

// changesPin reports whether a session formed a pin, or came below one that no
// longer holds.
func changesPin(d *ratchet.Decision) bool {
	return d.Pinned() || d.Changes && (d.State == tlsstate.PinReleased || d.State == tlsstate.PinLapsed)
}

// meets reports whether the session may meet a pin: it was encrypted, judged and
// no downgrade.
func meets(v *tlsstate.Verdict) bool {
	return v.Seen.Level > tlsstate.Plaintext && v.Outcome >= tlsstate.New && v.Outcome < tlsstate.Downgraded
}
