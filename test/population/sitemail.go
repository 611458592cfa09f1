package population

import (
	"container/heap"
	"math"
	"slices"
	"time"

	"tlsratchet/tlsstate"
)

// letter is one message that is tried again if it must.
type letter struct {
	at, first int64
	from      *resident
	host      int
	level     tlsstate.Level
	sender    string // MAIL FROM
	tries     int
	junk, own bool // own: while our own TLS was broken
}

type waiting []*letter

func (q waiting) Len() int           { return len(q) }
func (q waiting) Less(i, j int) bool { return q[i].at < q[j].at }
func (q waiting) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push and Pop are for package container/heap.
func (q *waiting) Push(x any) { *q = append(*q, x.(*letter)) }

// Pop removes the last one.
func (q *waiting) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// live sends all the mail, day by day.
func (w *siteWorld) live() {
	for d := range w.site.Days {
		var letters []*letter
		for _, r := range w.residents {
			mean := r.rate
			if d%7 >= 5 {
				mean *= weekend
			}
			for range poisson(w.rng, mean) {
				letters = append(letters, w.write(r, int64(d)*day+clock(w.rng)))
			}
			if r.habit != nil && r.habit.bots > 0 {
				for range poisson(w.rng, r.habit.bots*w.site.Rate) {
					letters = append(letters, &letter{at: int64(d)*day + clock(w.rng), from: r, junk: true})
				}
			}
		}
		slices.SortFunc(letters, func(a, b *letter) int { return int(a.at - b.at) })
		for _, l := range letters {
			l.first = l.at
			for len(w.queue) > 0 && w.queue[0].at <= l.at {
				w.attempt(heap.Pop(&w.queue).(*letter))
			}
			w.attempt(l)
		}
	}
	for len(w.queue) > 0 {
		w.attempt(heap.Pop(&w.queue).(*letter))
	}
}

// write makes one message of a resident.
func (w *siteWorld) write(r *resident, at int64) *letter {
	l := &letter{at: at, from: r, host: w.rng.IntN(len(r.hosts)), level: tlsstate.TLS13}
	h := r.habit
	if l.sender = w.sender(l); h == nil {
		return l
	}
	switch {
	case r.bare, w.rng.Float64() < h.clear, h.corner && l.host == len(r.hosts)-1, h.off && at >= r.turn,
		h.remembers && at >= siteOutage && at < rememberedTo,
		h.broken > 0 && math.Mod(float64(at)/day/h.broken+r.phase, 1)*h.broken*24 < 6:
		l.level = tlsstate.Plaintext
	}
	return l
}

// attempt tries to deliver one message, and asks before what would become of it
// if it were stripped.
func (w *siteWorld) attempt(l *letter) {
	p := *w.peer(l.from, l.host)
	x := transaction{bits: spfPass}
	x.At, x.Peer, x.Level, x.From = epoch.Add(time.Duration(l.at)*time.Second), p, l.level, l.sender
	if l.at >= siteOutage && l.at < siteOutageTo {
		x.Level, l.own = tlsstate.Plaintext, true
	} else if l.level > tlsstate.Plaintext && l.tries == 0 {
		w.probe(l, x)
	}
	a := w.rule.judge(&x)
	if l.tries == 0 && !l.junk {
		w.f.Messages++
	}
	if x.Level > tlsstate.Plaintext {
		w.note(p.Address.Name, l.at)
	}
	if a.refuses() {
		w.refused(l)
	}
}

// refused puts a message back into its sender's queue.
func (w *siteWorld) refused(l *letter) {
	if l.own {
		w.delayed[l.from.domain] = true
	}
	if l.tries == 0 && !l.own {
		w.f.Delayed++
		w.f.By[l.from.name()]++
	}
	if l.junk {
		return
	}
	wait := int64(retryMost)
	if l.tries < 6 {
		wait = min(wait, retryFirst<<l.tries)
	}
	l.at, l.tries = l.at+wait, l.tries+1
	if l.at > l.first+retryFor {
		w.f.Lost++
		return
	}
	if l.from.provider {
		l.host = w.rng.IntN(len(l.from.hosts))
	}
	heap.Push(&w.queue, l)
}
