package daemon

import (
	"context"
	"time"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/loop"
	"tlsratchet/tlsstate"
)

// unpinnedEvery is the time between two looks whether an operator dropped a pin
// that an incident is about: at another host that shares the memory, or while
// no daemon ran.
const unpinnedEvery = time.Minute

// unpinned closes the incidents whose pin an operator dropped.
func (w *watch) unpinned(load func(tlsstate.Identity) (tlsstate.History, error)) {
	for _, i := range w.book.OpenIncidents() {
		if h, err := load(i.Identity); err == nil && dropped(&h, &i) {
			w.book.Unpinned(i.ID, time.Now())
		}
	}
}

// watchPins does so now, and again and again until ctx ends, by what all hosts know:
// nothing else brings an act of another one where the peer does not come.
func (d *Daemon) watchPins(ctx context.Context) {
	loop.Every(ctx, unpinnedEvery, nil, func() { d.watch.unpinned(d.whole().Load) })
}

// dropped reports whether the pin that an incident is about was dropped by an
// operator. A wish of the configuration isn't, whatever is done to the memory.
func dropped(h *tlsstate.History, i *incident.Incident) bool {
	pin := h.CertPin
	switch {
	case i.Evidence.Required:
		return false
	case i.Kind != tlsstate.Unauthenticated && i.Evidence.Pin > tlsstate.Plaintext:
		pin = h.Pins[i.Evidence.Pin-1]
	}
	return pin.Void > 0 && pin.Formed <= pin.Void
}
