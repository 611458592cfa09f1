package status

import (
	"time"

	"tlsratchet/internal/ratchet"
)

// Observe takes the time of an operation; it is for [ratchet.Options].
func (m *Metrics) Observe(op ratchet.Operation, took time.Duration) {
	switch op {
	case ratchet.Deciding:
		m.decide.Observe(took.Seconds())
	case ratchet.Loading:
		m.load.Observe(took.Seconds())
	case ratchet.Learning:
		m.learn.Observe(took.Seconds())
	}
}
