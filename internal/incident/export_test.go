package incident

import "tlsratchet/internal/ratchet"

// Handle is OnEvent, and returns once the event is processed and reported.
func (b *Book) Handle(e ratchet.Event) {
	if b.count(&e) {
		b.process(own(e))
	}
}
