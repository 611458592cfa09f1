package ratchet

// Override makes the breaker give one answer, whatever it finds; nil lets it
// find its own again. It is an operator's wish, and part of the state that is
// kept. [[peer]] rows are left alone all the same.
func (b *Breaker) Override(a *Answer) {
	b.override.Store(a)
}

// answers returns what holds: the operator's answer, or the one that was found.
func (b *Breaker) answers(found Answer) Answer {
	if a := b.override.Load(); a != nil {
		return *a
	}
	return found
}
