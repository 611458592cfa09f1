package tlsstate

// Holds reports whether the pin at level l (Weak to TLS13) holds on the given
// day. The day itself counts as one on which nothing was seen below the pin.
func (h *History) Holds(l Level, rule *Policy, today Day) bool {
	return h.PinState(l, rule, today, false) == PinHolds
}

// TopPin returns the highest level whose pin holds on the given day, or
// Plaintext if none does.
func (h *History) TopPin(rule *Policy, today Day) Level {
	for l := min(rule.PinUpTo, TLS13); l >= Weak; l-- {
		if h.Holds(l, rule, today) {
			return l
		}
	}
	return Plaintext
}

// Best returns the best level that was ever seen, or Plaintext.
func (h *History) Best() Level {
	for l := TLS13; l >= Weak; l-- {
		if h.pin(l).Met != 0 {
			return l
		}
	}
	return Plaintext
}

// Pin returns what is remembered of level l, Weak to TLS13.
func (h *History) Pin(l Level) Pin { return *h.pin(l) }
