package store

import "tlsratchet/tlsstate"

// queue is the order in which changes go to the disk: first those of peers that are
// known by more than a day, even behind a flood of strangers; of equals, the oldest
// first. So no change waits for longer than its turn.
type queue struct {
	pressing, others []ticket
}

// ticket is one place in the queue. The change may be written before its turn,
// and then the ticket is void.
type ticket struct {
	id tlsstate.Identity
	at uint64 // the count of changes when it was made
}

// pressing reports whether a history is written before others.
func pressing(h *tlsstate.History) bool {
	return *h != tlsstate.History{} && !stranger(h)
}

func (q *queue) push(id tlsstate.Identity, h *tlsstate.History, at uint64) {
	line := &q.others
	if pressing(h) {
		line = &q.pressing
	}
	*line = append(*line, ticket{id, at})
}

func (q *queue) pop() (id tlsstate.Identity, ok bool) {
	for _, line := range []*[]ticket{&q.pressing, &q.others} {
		if len(*line) > 0 {
			id = (*line)[0].id
			(*line)[0] = ticket{} // lets go of the name
			*line = (*line)[1:]
			return id, true
		}
	}
	return id, false
}

// giveBack puts a group back at the front of the queue.
func (q *queue) giveBack(group []entry) {
	front := make([]ticket, len(group), len(group)+len(q.pressing))
	for i := range group {
		front[i].id = group[i].id
	}
	q.pressing = append(front, q.pressing...)
}

// holds reports whether a ticket of up to the mark is in the queue.
func (q *queue) holds(mark uint64) bool {
	return len(q.pressing) > 0 && q.pressing[0].at <= mark ||
		len(q.others) > 0 && q.others[0].at <= mark
}
