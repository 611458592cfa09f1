package outbound

import (
	"net/netip"
	"sync"

	"tlsratchet/internal/maillog"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// Stats are counts of deliveries, recipients each, since the start.
type Stats struct {
	// Sent counts those that were sent, by level; Unknown those of which lines
	// are missing.
	Sent    [tlsstate.TLS13 + 1]uint64
	Unknown uint64
	// Unattributed counts those whose next-hop is not known, or is no domain.
	Unattributed uint64
	// AfterFailure counts those that went in clear after a handshake failed: a
	// sign of an attack or of a broken host rather than of a habit.
	AfterFailure uint64
	// Held counts attempts that waited because of our answer, WouldHold
	// deliveries that "hold" would have deferred.
	Held, WouldHold uint64
	// Failures counts decisions that failed inside.
	Failures uint64
	// Outage reports whether many destinations fail at once.
	Outage bool
}

// counts are Stats that grow.
type counts struct {
	mu sync.Mutex
	Stats
}

func (c *counts) add(n *uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n++
}

// Stats returns the counts as they are now.
func (b *Outbound) Stats() Stats {
	b.counts.mu.Lock()
	defer b.counts.mu.Unlock()
	s := b.counts.Stats
	b.outage.with(func() { s.Outage = !b.outage.s.Since.IsZero() })
	return s
}

// Removed notes that a message left the queue; it is part of
// [maillog.DeliverySink].
func (b *Outbound) Removed(queueID string) { b.waiting.removed(queueID) }

// Delivered learns from a delivery; it is part of [maillog.DeliverySink].
func (b *Outbound) Delivered(d *maillog.Delivery) {
	future := int(tlsstate.DayOf(d.At)) > int(tlsstate.DayOf(b.o.Now()))+1 // by whose clock?
	if future || d.Doubtful && b.settings.Load().Permission.Unquoted {
		b.counts.add(&b.counts.Unknown)
		return
	}
	b.learnHosts(d)
	l, ok := b.nexthop(d)
	switch {
	case d.Status == 0: // what a probe asked for is no other delivery's
		return
	case !ok:
		b.counts.add(&b.counts.Unattributed)
		return
	}
	level, ok := b.used(d, l)
	met := ok && b.judge(d, l, level)
	if d.Status == maillog.Sent {
		b.waiting.sent(l.name.id.Name, d.QueueID, met)
	}
}

// used returns what a delivery shows of its destination. Of those that were not
// sent only what we held does, if only by one host of several: at level "may" a failed
// handshake is tried again.
func (b *Outbound) used(d *maillog.Delivery, l lookup) (level tlsstate.Security, ok bool) {
	switch {
	case d.Status == maillog.Sent && d.TLS == maillog.Encrypted:
		b.counts.add(&b.counts.Sent[d.Security.Level])
		return d.Security, true
	case d.Status == maillog.Sent && d.TLS == maillog.Clear && !l.encrypt && b.settings.Load().Permission.Unlogged == "":
		b.counts.add(&b.counts.Sent[tlsstate.Plaintext])
		if d.Failed {
			b.counts.add(&b.counts.AfterFailure)
		}
		return tlsstate.Security{}, true
	case d.Status == maillog.Sent: // a line is missing: with "encrypt" nothing goes in clear
		b.counts.add(&b.counts.Unknown)
		return level, false
	}
	refused := d.Refusal != maillog.NoRefusal || d.Status == maillog.Deferred && len(d.Skipped) > 0
	return tlsstate.Security{}, refused && b.isHeld(l)
}

// isHeld reports whether our answer for the destination was, or is, "encrypt".
func (b *Outbound) isHeld(l lookup) bool {
	if l.encrypt || !l.at.IsZero() {
		return l.encrypt
	}
	h, ok := b.load(l.name.id)
	return ok && b.holds(l.name, h, b.o.Now())
}

// judge holds a delivery against what is known of its destination, and learns. met
// reports whether the destination was reached as it should be: over TLS, or it is
// exempt, or its pin is dropped or released.
func (b *Outbound) judge(d *maillog.Delivery, l lookup, used tlsstate.Security) (met bool) {
	id, s := l.name.id, b.settings.Load()
	rule := s.Rules.For(noAddr, id.Name)
	o := tlsstate.Observation{Day: tlsstate.DayOf(d.At), Security: used}
	if d.Status == maillog.Sent {
		b.tally.add(id.Name, o.Day, tlsstate.DayOf(b.o.Now()), used.Level)
	}
	if rule.Exempt {
		return true
	}
	h, ok := b.load(id)
	if !ok {
		return false
	}
	v, after := tlsstate.Learn(h, o, rule)
	v.Identity = id
	learns := after != h
	if v.Outcome == tlsstate.Downgraded && s.wouldHold(&v) {
		learns = !b.failedDelivery(d, &v, rule) && learns
	} else {
		met = d.Status == maillog.Sent
	}
	if met && used.Level > tlsstate.Plaintext {
		b.outage.met(id.Name, networkOf(d.Addr), d.At)
	}
	if d.Status != maillog.Sent {
		v.Action = tlsstate.Tempfail
	}
	if pinned := learns && b.learn(id, o, rule); !pinned {
		v.Unsaved()
	}
	b.report(d, &v, used, learns)
	return met
}

// failedDelivery notes that a destination that is held, or would be, was not
// reached over TLS. It reports whether that is the fault of our own network.
func (b *Outbound) failedDelivery(d *maillog.Delivery, v *tlsstate.Verdict, rule *tlsstate.Policy) (outage bool) {
	if d.Status == maillog.Sent {
		b.counts.add(&b.counts.WouldHold)
	} else {
		b.counts.add(&b.counts.Held)
	}
	b.waiting.add(d, v, rule.ReleaseAfterDays)
	return b.outage.fail(v.Identity.Name, networkOf(d.Addr), d.At)
}

// networkOf returns the /16 (IPv6: /32) of a relay, or "".
func networkOf(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return ""
	}
	return peer.Prefix(ip, 16, 32).String()
}

// learn saves what an identity learns, and reports whether a pin formed.
func (b *Outbound) learn(id tlsstate.Identity, o tlsstate.Observation, rule *tlsstate.Policy) (pinned bool) {
	if b.o.Writes != nil && !b.o.Writes(o.Day) {
		return false
	}
	// Without an address there is no quota: we chose whom to send to.
	v, err := ratchet.Save(b.o.Histories, id, noAddr, o, rule)
	if err != nil {
		b.fail(err)
	}
	return v.Pinned()
}

// learnHosts notes what MX hosts did: evidence, on which nothing is decided.
func (b *Outbound) learnHosts(d *maillog.Delivery) {
	for _, host := range d.Skipped {
		b.learnHost(host, d, tlsstate.Security{})
	}
	switch {
	case d.Status == maillog.Sent && d.TLS != maillog.TLSUnknown:
		b.learnHost(d.Host, d, d.Security)
	case d.Refusal == maillog.NotOffered:
		b.learnHost(d.Host, d, tlsstate.Security{})
	}
}

func (b *Outbound) learnHost(host string, d *maillog.Delivery, used tlsstate.Security) {
	if host, _ = peer.Normalize(host); isMX(host) {
		o := tlsstate.Observation{Day: tlsstate.DayOf(d.At), Security: used}
		b.learn(tlsstate.Identity{Kind: tlsstate.MX, Name: host}, o, b.settings.Load().Rules.Default())
	}
}

// report logs what people act on, and passes the event on.
func (b *Outbound) report(d *maillog.Delivery, v *tlsstate.Verdict, used tlsstate.Security, learns bool) {
	b.log(d, v)
	addr, _ := netip.ParseAddr(d.Addr)
	host, _ := peer.Normalize(d.Host)
	s := ratchet.Session{At: d.At, Security: used, Peer: peer.Peer{
		Host: host, IP: addr,
		// The incident closes when its destination, not one of its hosts, is
		// reached over TLS again.
		Address: tlsstate.Identity{Kind: tlsstate.Address, Name: v.Identity.Name},
	}}
	decision := ratchet.Decision{Verdict: *v, Changes: learns}
	b.o.Events(ratchet.Event{Session: &s, Decision: &decision, QueueID: d.QueueID, Done: true})
}
