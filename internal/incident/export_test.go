package incident

import (
	"time"

	"tlsratchet/internal/ratchet"
)

// Handle is OnEvent, and returns once the event is processed and reported.
func (b *Book) Handle(e ratchet.Event) {
	if b.count(&e) {
		b.do(func(l *ledger) []Change { return l.onEvent(own(e)) })
	}
}

// Tick lets it be a time.
func (b *Book) Tick(now time.Time) {
	b.do(func(l *ledger) []Change { return l.tick(now.UTC()) })
}
