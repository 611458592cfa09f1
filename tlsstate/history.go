package tlsstate

// History is all that is remembered of one identity: an epoch, and a record of
// fixed size. The zero value is a peer never seen. Histories are values and
// can be compared with ==.
type History struct {
	// Epoch counts what operators did. Of two histories the one with the
	// larger epoch wins whole, so that no stale copy revives a dropped pin.
	Epoch uint16
	// First and Last are the days of the earliest and the latest session; both
	// 0 when there was none.
	First, Last Day
	// Seen holds, for each level, the days on which it was seen: bit 0 is Last.
	Seen [4]uint64
	// WeekTLS and WeekPlain hold the weeks with some TLS and with plaintext:
	// bit 0 is the week of Last. They remember the rare sender.
	WeekTLS, WeekPlain uint64
	// CertDays and NoCertDays hold the days of encrypted sessions with and
	// without the trusted client certificate Cert.
	CertDays, NoCertDays uint64
	// Pins are the pins at Weak, TLS12 and TLS13, in that order.
	Pins [3]Pin
	// CertPin is the pin on the client certificate.
	CertPin Pin
	// Cert is the certificate that CertPin is on.
	Cert Certificate
	// Marks count what was seen under a domain, or in a network.
	Marks
	// Name is the name that DNS confirmed last of an address, or the one domain
	// of a network.
	Name Name
}

// Pin is what is remembered of one threshold. Whether it holds is never
// stored: [History.PinState] derives it.
type Pin struct {
	// Formed is the day the pin formed, Met the last day that its threshold
	// was reached. Formations up to the day Void are void.
	Formed Day `json:"formed,omitzero"`
	Met    Day `json:"met,omitzero"`
	Void   Day `json:"void,omitzero"`
}

// Newest returns the latest day that the history speaks of. A store refuses a
// history whose newest day is later than tomorrow.
func (h History) Newest() Day {
	d := h.Last // no other day is later, but for what operators did
	for _, p := range h.pins() {
		d = max(d, p.Void)
	}
	return d
}

// Tombstone reports whether the history is what [History.Forget] left.
func (h History) Tombstone() bool { return h.Epoch > 0 && h.Last == 0 }

func (p Pin) join(q Pin) Pin {
	return Pin{Formed: max(p.Formed, q.Formed), Met: max(p.Met, q.Met), Void: max(p.Void, q.Void)}
}

// Merge joins two histories of one identity. It is commutative, associative
// and idempotent; the zero history is its unit.
func Merge(a, b History) History {
	switch {
	case a == b || a.Epoch > b.Epoch:
		return a
	case b.Epoch > a.Epoch:
		return b
	}
	a.align(b.Last)
	b.align(a.Last)
	words, pins := b.words(), b.pins()
	for i, w := range a.words() {
		*w |= *words[i]
	}
	for i, p := range a.pins() {
		*p = p.join(*pins[i])
	}
	a.Cert = a.Cert.join(b.Cert)
	a.Name = a.Name.join(b.Name)
	a.First = earlier(a.First, b.First)
	a.oneOf()
	return a
}

// align slides the windows of h so that they end at the later of its own last
// day and the given one.
func (h *History) align(last Day) {
	if last <= h.Last {
		return
	}
	n := last.sub(h.Last)
	for l := range h.Seen {
		h.Seen[l] = slide(h.Seen[l], n)
	}
	h.CertDays = slide(h.CertDays, n)
	h.NoCertDays = slide(h.NoCertDays, n)
	weeks := last.week() - h.Last.week()
	h.WeekTLS = slide(h.WeekTLS, weeks)
	h.WeekPlain = slide(h.WeekPlain, weeks)
	h.Last = last
}

// earlier is min, where 0 is never.
func earlier(a, b Day) Day {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

// record adds the session as it was, a downgrade too.
func (h *History) record(o *Observation) {
	if o.Day == 0 {
		return
	}
	h.First = earlier(h.First, o.Day)
	h.align(o.Day)
	today := bit(h.Last.sub(o.Day))
	week := bit(h.Last.week() - o.Day.week())
	h.Seen[o.Level] |= today
	if o.Level == Plaintext {
		h.WeekPlain |= week
	} else {
		h.WeekTLS |= week
	}
	for l := Weak; l <= o.Level; l++ {
		p := h.pin(l)
		p.Met = max(p.Met, o.Day)
	}
	switch with, without := o.certificate(h.Cert); {
	case with:
		h.CertDays |= today
		h.CertPin.Met = max(h.CertPin.Met, o.Day)
		if h.Cert.Mark == 0 && o.CertMark != 0 {
			h.Cert = Certificate{Since: o.Day, Mark: o.CertMark}
		}
	case without:
		h.NoCertDays |= today
	}
	h.Marks.join(&o.Marks)
	h.Name = h.Name.join(o.Name)
	h.oneOf()
}

// pin returns the pin at level l, Weak to TLS13.
func (h *History) pin(l Level) *Pin { return &h.Pins[l-1] }

// Unpin returns h with its pins void up to today and one epoch up, so that no
// copy elsewhere brings them back. What was seen stays known; a new pin needs
// new days.
func (h History) Unpin(today Day) History {
	return h.nextEpoch().voidAll(today)
}

// Forget returns an empty history one epoch up. It keeps the day in its voids:
// it dates the tombstone, and no history that another host took to the same
// epoch brings an older pin back.
func (h History) Forget(today Day) History {
	return History{Epoch: h.nextEpoch().Epoch}.voidAll(today)
}

func (h History) nextEpoch() History {
	h.Epoch = min(h.Epoch, 1<<16-2) + 1
	return h
}

func (h History) voidAll(today Day) History {
	for _, p := range h.pins() {
		p.Void = max(p.Void, today)
	}
	return h
}
