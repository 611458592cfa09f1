package incident

import (
	"slices"
	"time"

	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

const (
	// quietHours is after how long without a downgrade an incident closes.
	quietHours = 24 * time.Hour
	// keep is how long a closed incident is kept.
	keep = 180 * 24 * time.Hour
	// maxIncidents is how many are kept.
	maxIncidents = 10_000

	// growth is how many times larger an incident must get to be told again,
	// from small on, and growthPause how long after it was told last.
	growth, small = 10, 10
	growthPause   = time.Hour
)

// ledger is the fold: events and times in, changes out. It knows no clock, no
// file and no lock.
type ledger struct {
	most int
	last uint64 // the last number given
	all  map[uint64]*Incident
	// newest is, of each key, the incident that opened last.
	newest map[key]*Incident
	watch  *watch
	// dirty are the numbers of those that changed or went, since they were
	// last written.
	dirty map[uint64]struct{}
}

// key is what incidents are told apart by.
type key struct {
	identity tlsstate.Identity
	known    bool
}

func newLedger(most int) *ledger {
	return &ledger{
		most: most, all: make(map[uint64]*Incident), newest: make(map[key]*Incident),
		watch: newWatch(), dirty: make(map[uint64]struct{}),
	}
}

// add puts an incident in that was kept elsewhere.
func (l *ledger) add(i *Incident) {
	l.last = max(l.last, i.ID)
	l.all[i.ID] = i
	if n := l.newest[i.key()]; n == nil || n.ID < i.ID {
		l.newest[i.key()] = i
	}
	l.see(i)
}

func (i *Incident) key() key { return key{i.Identity, i.KnownPlaintext} }

// see watches the addresses of an incident that is open.
func (l *ledger) see(i *Incident) {
	for _, c := range i.Clients {
		if i.IsOpen() {
			l.watch.add(c.identity(), i)
		}
	}
}

// take takes what an event says into account.
func (l *ledger) take(n *note) []Change {
	if opens(&n.verdict) {
		return l.downgrade(n)
	}
	changes := l.meet(n)
	if c, ok := l.notice(n); ok {
		changes = append(changes, c)
	}
	return changes
}

// downgrade adds a message to its incident, or opens one.
func (l *ledger) downgrade(n *note) []Change {
	k := key{n.verdict.Identity, n.verdict.KnownPlaintext()}
	i := l.newest[k]
	switch {
	case i == nil, !i.IsOpen() && !i.resumes(n.at):
		return l.open(k, n)
	case !i.IsOpen():
		return l.reopen(i, n)
	}
	before := *i
	l.gather(i, n)
	if !i.KnownPlaintext && (i.worse(&before) || i.larger(n.at) || n.at.Sub(i.told.at) >= quietHours) {
		what := Grown
		if !i.told.open {
			what = Opened
		}
		return []Change{l.tell(i, what, n.at, n)}
	}
	return nil
}

func (l *ledger) gather(i *Incident, n *note) {
	i.gather(n)
	l.see(i)
	l.dirty[i.ID] = struct{}{}
}

func (l *ledger) open(k key, n *note) []Change {
	l.last++
	i := &Incident{ID: l.last, Identity: k.identity, KnownPlaintext: k.known, Opened: n.at, Last: n.at}
	l.all[i.ID], l.newest[k] = i, i
	l.gather(i, n)
	if len(l.all) > l.most {
		l.drop(l.least(i))
	}
	return []Change{l.tell(i, Opened, n.at, n)}
}

// resumes tells whether a closed incident goes on, rather than a new one open:
// a peer that comes now with and now without TLS is one incident a day. What
// comes after an operator dropped the pin is about another one.
func (i *Incident) resumes(at time.Time) bool {
	return i.ClosedBy != Unpinned && (i.KnownPlaintext || at.Sub(i.Closed) < quietHours)
}

// reopen lets a closed incident go on. The more often it does, the longer it
// takes until that is told.
func (l *ledger) reopen(i *Incident, n *note) []Change {
	i.Closed, i.ClosedBy = time.Time{}, StillOpen
	pause := min(time.Hour<<min(i.Reopened, 5), quietHours)
	i.Reopened++
	i.Refused, i.told.waiting = time.Time{}, 0
	l.gather(i, n)
	if i.KnownPlaintext || n.at.Sub(i.told.at) < pause {
		return nil
	}
	return []Change{l.tell(i, Opened, n.at, n)}
}

// worse tells whether the incident is worse than before in kind or evidence.
func (i *Incident) worse(before *Incident) bool {
	return i.Kind < before.Kind || i.Cap > before.Cap
}

func (i *Incident) larger(at time.Time) bool {
	return i.Messages >= growth*max(i.told.messages, small) && at.Sub(i.told.at) >= growthPause
}

// tell notes what people are told of an incident, and returns it. n is the
// message that led to it, or nil.
func (l *ledger) tell(i *Incident, what What, at time.Time, n *note) Change {
	l.dirty[i.ID] = struct{}{}
	i.told.open = what != Closed
	i.told.at, i.told.messages = at, i.Messages
	c := Change{What: what, At: at, Identity: i.Identity, Incident: i.clone()}
	if n != nil {
		c.Words = text(words.Verdict(&n.verdict), maxText)
	}
	return c
}

// meet closes the incidents whose pin the session meets.
func (l *ledger) meet(n *note) (changes []Change) {
	if !meets(&n.verdict) {
		return nil
	}
	for _, i := range slices.Clone(l.watch.at(n.address)) {
		if i.metBy(&n.verdict) {
			changes = append(changes, l.close(i, Met, n.at)...)
		}
	}
	return changes
}

// metBy tells whether a session of one of its addresses meets the incident's
// pin.
func (i *Incident) metBy(v *tlsstate.Verdict) bool {
	if i.Kind == tlsstate.Unauthenticated && !v.Seen.Certificate {
		return false
	}
	return v.Seen.Level >= i.Evidence.Pin
}

// close closes an incident. That is told if it was told open.
func (l *ledger) close(i *Incident, by Reason, at time.Time) []Change {
	i.Closed, i.ClosedBy = at, by
	l.watch.remove(i)
	l.dirty[i.ID] = struct{}{}
	if !i.told.open {
		return nil
	}
	return []Change{l.tell(i, Closed, at, nil)}
}

// unpinned closes an incident whose pin an operator dropped.
func (l *ledger) unpinned(id uint64, at time.Time) []Change {
	if i := l.all[id]; i != nil && i.IsOpen() {
		return l.close(i, Unpinned, at)
	}
	return nil
}

// notice returns what else an event tells: of no incident, and for whoever
// wants to know.
func (l *ledger) notice(n *note) (c Change, ok bool) {
	v := &n.verdict
	c = Change{At: n.at, Identity: v.Identity, Words: text(words.Verdict(v), maxText)}
	switch {
	case v.Outcome == tlsstate.Raised:
		c.What = Pinned
	case !n.changes:
		return c, false
	case v.State == tlsstate.PinLapsed && v.Below == 1: // the first day of many
		c.What = Lapsed
	case v.State == tlsstate.PinReleased && l.releasedFirst(v.Identity):
		c.What = Released
	}
	return c, c.What != 0
}

// releasedFirst tells whether the release of an identity's pin was not told
// yet, and notes that it is now.
func (l *ledger) releasedFirst(id tlsstate.Identity) bool {
	i := l.newest[key{identity: id}]
	if i == nil {
		return true
	}
	first := !i.told.released
	i.told.released = true
	l.dirty[i.ID] = struct{}{}
	return first
}

// least returns the incident that is missed least, other than spare: of the
// closed ones, else of all, the one that has been quiet for longest.
func (l *ledger) least(spare *Incident) *Incident {
	var least *Incident
	for _, i := range l.all {
		switch {
		case i == spare:
		case least == nil, least.IsOpen() && !i.IsOpen():
			least = i
		case least.IsOpen() == i.IsOpen() && (i.Last.Before(least.Last) || i.Last.Equal(least.Last) && i.ID < least.ID):
			least = i
		}
	}
	return least
}

// drop forgets an incident.
func (l *ledger) drop(i *Incident) {
	if i.IsOpen() {
		l.watch.remove(i)
	}
	delete(l.all, i.ID)
	if l.newest[i.key()] == i {
		delete(l.newest, i.key())
	}
	l.dirty[i.ID] = struct{}{}
}
