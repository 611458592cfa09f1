package replay

import "tlsratchet/internal/maillog"

// queue has the messages judged by a goroutine of its own, in their order, while
// the log is read on.
type queue struct {
	filling []item
	full    chan []item
	free    chan []item
	done    chan struct{}
}

// item is messages of a session, or a failed handshake if failed is set.
type item struct {
	session maillog.Session
	failed  string
}

func newQueue(r *replay) *queue {
	const batches, items = 3, 1 << 9
	q := &queue{full: make(chan []item, batches), free: make(chan []item, batches), done: make(chan struct{})}
	for range batches {
		q.free <- make([]item, 0, items)
	}
	q.filling = <-q.free
	go func() {
		defer close(q.done)
		for batch := range q.full {
			for i := range batch {
				r.item(&batch[i])
			}
			q.free <- batch[:0]
		}
	}()
	return q
}

func (q *queue) add(i item) {
	if q.filling = append(q.filling, i); len(q.filling) == cap(q.filling) {
		q.full <- q.filling
		q.filling = <-q.free
	}
}

func (q *queue) session(s *maillog.Session) { q.add(item{session: *s}) }

func (q *queue) failure(f *maillog.Failure) {
	q.add(item{session: maillog.Session{At: f.At}, failed: string(f.Addr)})
}

// close returns when all are judged.
func (q *queue) close() {
	q.full <- q.filling
	close(q.full)
	<-q.done
}

func (r *replay) item(i *item) {
	if i.failed != "" {
		r.failure(i.failed, i.session.At)
		return
	}
	r.message(&i.session)
}
