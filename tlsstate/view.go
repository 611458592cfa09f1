package tlsstate

// Holds reports whether the pin at level l (Weak to TLS13) holds on the given
// day. The day itself counts as one on which nothing was seen below the pin.
func (h *History) Holds(l Level, rule *Policy, today Day) bool {
	return h.PinState(l, rule, today, false) == PinHolds
}

// TopPin returns the highest level whose pin holds on the given day, or
// Plaintext if none does.
func (h *History) TopPin(rule *Policy, today Day) Level {
	for l := TLS13; l >= Weak; l-- {
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

// PinOn is a pin on a day.
type PinOn struct {
	Pin
	// Level is what is pinned; Plaintext stands for the client certificate.
	Level Level
	// State is whether it holds, Next whether against a session below it that day.
	State, Next PinState
}

// PinsOn returns the pins of all levels on a day, the lowest first, and then the one on
// the client certificate.
func (h *History) PinsOn(rule *Policy, today Day) (all []PinOn) {
	for l := Weak; l <= TLS13; l++ {
		all = append(all, PinOn{h.Pin(l), l, h.PinState(l, rule, today, false), h.PinState(l, rule, today, true)})
	}
	return append(all, PinOn{h.CertPin, Plaintext, h.CertPinState(rule, today, false), h.CertPinState(rule, today, true)})
}

// SeenUntil returns the days on which a level was seen, of the 64 that end with a day,
// which is bit 0.
func (h *History) SeenUntil(l Level, day Day) uint64 {
	if h.Last > day { // a clock that was ahead
		return h.Seen[l] >> (h.Last - day)
	}
	return h.Seen[l] << (day - h.Last)
}
