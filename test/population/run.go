package population

import (
	"container/heap"
	"fmt"
	"time"

	"tlsratchet/tlsstate"
)

// What a sender does that gets a 451, as Postfix and others do.
const (
	retryFirst = 5 * minute
	retryMost  = 4 * hour
	retryFor   = 5 * day
)

// try is one attempt at delivering a message.
type try struct {
	at   int64
	mail int32
	host int32
	n    int32 // 0 is the first
}

// queue is the messages that wait at their senders, the next one first.
type queue []try

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].mail < q[j].mail
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push and Pop are for package container/heap.
func (q *queue) Push(x any) { *q = append(*q, x.(try)) }

// Pop removes the last one.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// run is one rule on its way through a world.
type run struct {
	w     *World
	rule  judge
	queue queue
	fates []fate // by message
	counts
}

// fate is what became of a message.
type fate struct {
	tries    uint16
	lost     bool
	attacked bool
}

// Try runs a rule through the world.
func (w *World) Try(rule *Rule) (*Figures, error) {
	r, err := w.run(rule)
	if err != nil {
		return nil, err
	}
	return r.figures(rule), nil
}

func (w *World) run(rule *Rule) (*run, error) {
	r := &run{w: w, fates: make([]fate, len(w.mail)), counts: newCounts(w)}
	if rule.Other != nil {
		r.rule = rule.Other()
	} else {
		o, err := newOurs(rule)
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", rule.Name, err)
		}
		r.rule = o
	}
	for n := range w.mail {
		at := w.mail[n].at
		for len(r.queue) > 0 && r.queue[0].at <= at {
			r.attempt(heap.Pop(&r.queue).(try))
		}
		r.attempt(try{at: at, mail: int32(n), host: w.mail[n].host})
	}
	for len(r.queue) > 0 {
		r.attempt(heap.Pop(&r.queue).(try))
	}
	r.probeAll()
	return r, nil
}

// attempt tries to deliver a message.
func (r *run) attempt(t try) {
	m := &r.w.mail[t.mail]
	is := r.w.session(m, m.salt(), t.host, t.at)
	f := &r.fates[t.mail]
	f.tries++
	f.attacked = f.attacked || is.attack >= 0
	if unseen(t.at) {
		return
	}
	x := r.transaction(m, t.host, t.at, is)
	r.protection(m, t, x)
	a := r.rule.judge(&x)
	r.count(m, t, &is, &a)
	switch {
	case a.action == tlsstate.Reject:
		f.lost = true
	case a.action == tlsstate.Tempfail:
		r.again(m, t)
	}
}

func (r *run) transaction(m *message, h int32, at int64, is happens) transaction {
	x := transaction{sender: m.sender, bits: m.bits, dns: is.dns}
	x.At = epoch.Add(time.Duration(at) * time.Second)
	x.Level = is.level
	from := &r.w.hosts[h]
	switch {
	case m.bits&viaBare != 0:
		x.Peer = from.bare
	case is.dns:
		x.Peer = from.nameless
	default:
		x.Peer = from.named
	}
	return x
}

// again puts a message back into its sender's queue, or bounces it.
func (r *run) again(m *message, t try) {
	wait := int64(retryMost)
	if t.n < 6 {
		wait = min(wait, retryFirst<<t.n)
	}
	t.at, t.n = t.at+wait, t.n+1
	if t.at > m.at+retryFor || m.bits&(hostile|noMessage) != 0 {
		r.fates[t.mail].lost = true
		return
	}
	from := &r.w.hosts[t.host]
	if p := &r.w.peers[from.peer]; len(p.hosts) > 1 && !from.corner && !from.clear {
		t.host = int32(r.w.anyHost(p, t.at, chance(uint64(m.salt()), uint64(t.n))))
	}
	heap.Push(&r.queue, t)
}
