package maillog

import (
	"time"

	"tlsratchet/tlsstate"
)

// queue holds messages in the order in which they came, until their sessions
// have ended. A handshake that failed is a group without messages.
type queue struct {
	first, last *group
	length      int
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
	if q.first == nil {
		q.first = g
	} else {
		q.last.next = g
	}
	q.last = g
	q.length++
	return g
}

// release passes on the messages at the front of the queue that are decided.
func (j *joiner) release(now int64) {
	for j.queue.first != nil {
		full := j.queue.length > maxQueue
		switch g := j.queue.first; {
		case g.session != nil && (full || now > g.session.last+patience):
			j.finish(g.session, nil)
		case g.session != nil, g.unproven && !full && now < g.ended+settle:
			return
		default:
			j.emit()
		}
	}
}

// emit passes on the first messages of the queue.
func (j *joiner) emit() {
	q := &j.queue
	g := q.first
	q.first, q.length = g.next, q.length-1
	g.At = time.Unix(g.at, 0).UTC()
	if tlsstate.DayOf(g.At) <= j.latest {
		j.sink.Session(&g.Session)
	} else if g.Messages > 0 {
		j.stats.Future++
	}
}
