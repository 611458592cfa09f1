package maillog

import (
	"time"

	"tlsratchet/tlsstate"
)

// queue holds messages in the order in which they came, until their sessions
// have ended.
type queue struct {
	all  []*group
	free []*group
}

const (
	// maxQueue bounds the groups of messages that wait for an older session.
	maxQueue = 1 << 16
	// settle is how many seconds after a session a note may come that lines of it
	// were lost: the journal counts for 30 s by default, rsyslog for 5 s.
	settle = 30
)

// add returns a new group at the end of the queue.
func (q *queue) add() *group {
	g := &group{}
	if n := len(q.free); n > 0 {
		g, q.free = q.free[n-1], q.free[:n-1]
		*g = group{failure: Failure{Addr: g.failure.Addr[:0]}}
	}
	q.all = append(q.all, g)
	return g
}

// pop takes the first group away.
func (q *queue) pop() *group {
	g := q.all[0]
	q.all = q.all[1:]
	q.free = append(q.free, g)
	return g
}

// release passes on the messages at the front of the queue that are decided.
func (j *joiner) release(now int64) {
	for len(j.queue.all) > 0 {
		full := len(j.queue.all) > maxQueue
		switch g := j.queue.all[0]; {
		case g.session != nil && (full || now > g.session.last+patience):
			j.finish(g.session, end{})
		case g.session != nil, g.unproven && !full && now < g.ended+settle:
			return
		default:
			j.emit()
		}
	}
}

// emit passes on the first messages of the queue.
func (j *joiner) emit() {
	g := j.queue.pop()
	g.At = time.Unix(g.at, 0).UTC()
	switch {
	case len(g.failure.Addr) > 0:
		g.failure.At = g.At
		j.sink.Failure(&g.failure)
	case tlsstate.DayOf(g.At) > j.latest:
		j.stats.Future++
	default:
		j.sink.Session(&g.Session)
	}
}
