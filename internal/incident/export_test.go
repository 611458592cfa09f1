package incident

import "tlsratchet/internal/ratchet"

// Handle is OnEvent, and returns once the event is processed and reported.
func (b *Book) Handle(e ratchet.Event) {
	if b.count(&e) {
		n := newNote(&e)
		b.process(&n)
	}
}
