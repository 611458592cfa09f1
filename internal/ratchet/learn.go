package ratchet

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"tlsratchet/tlsstate"
)

// Learn saves what a session that [Ratchet.Decide] judged teaches. Call it once
// a recipient was accepted, so that nobody teaches us without a message that
// somebody here would take. What can't be saved is logged and lost; the peer's
// next message makes it again. Then the decision states a pin that formed only if
// that was saved.
func (r *Ratchet) Learn(s *Session, d *Decision) {
	d.Unsaved()
	defer func() {
		if p := recover(); p != nil {
			r.failures.panicked(p)
		}
	}()
	if !d.Changes || !r.Writes(s.day()) {
		return
	}
	if err := r.save(s, d); err != nil {
		r.failures.note(err)
	}
}

// save judges each identity again, inside the store's compare-and-set: a pin
// forms on what is known now.
func (r *Ratchet) save(s *Session, d *Decision) error {
	var errs []error
	t := &trial{Session: s, day: s.day()}
	learn := func(id tlsstate.Identity, o tlsstate.Observation) tlsstate.Verdict {
		v, err := r.update(s, id, o, d.rule)
		errs = append(errs, err)
		if v.Pinned() && id == d.Identity && d.Outcome != tlsstate.Downgraded {
			d.Verdict = v
		}
		return v
	}
	if d.offers && !s.Peer.Listener.IsZero() { // STARTTLS is offered at the port, and at any
		learn(s.Peer.Listener, t.listenerObservation())
		learn(anyListener, t.listenerObservation())
	}
	v := learn(s.Peer.Address, t.addressObservation())
	domain := learn(s.Peer.Domain, t.domainObservation(&v))
	r.saveNamed(t, &v, &domain, d.rule)
	if o, ok := t.networkObservation(&v); ok {
		learn(s.Peer.NetworkID(), o)
	}
	r.saveSender(s, d)
	return errors.Join(errs...)
}

// saveNamed has the domain learn that its SPF record names an address, once SPF
// proves that: of each address that comes with TLS, until it is known of it, for DNS
// doesn't always answer. It is learned in quiet times, so that it is there when DNS
// may be an attacker's.
func (r *Ratchet) saveNamed(t *trial, address, domain *tlsstate.Verdict, rule *tlsstate.Policy) {
	c, ok := r.hostClaim(t)
	if !ok || t.Level == tlsstate.Plaintext || domain.Named&t.Peer.Mark != 0 || r.o.Senders.Tried(c) {
		return
	}
	session, o := *t.Session, t.domainObservation(address)
	o.Named = t.Peer.Mark
	r.o.Senders.Learn(c, func() {
		if _, err := r.update(&session, c.Identity, o, rule); err != nil {
			r.failures.note(err)
		}
	})
}

// saveSender has the session learned for its sender once that is proven, and the
// domain of the client learn whether the sender moves.
func (r *Ratchet) saveSender(s *Session, d *Decision) {
	if d.claim.Identity.IsZero() {
		return
	}
	// That comes later: of what is only lent it needs copies.
	session, rule, id := *s, d.rule, d.claim.Identity
	r.o.Senders.Learn(d.claim, func() {
		t := &trial{Session: &session, day: session.day(), sender: part{id: id}}
		v, err := r.update(&session, id, t.senderObservation(), rule)
		o := t.domainObservation(&v)
		if o.Senders = t.sendersOf(&v); err == nil && o.Senders != 0 {
			_, err = r.update(&session, t.Peer.Domain, o, rule)
		}
		if err != nil {
			r.failures.note(err)
		}
	})
}

func (r *Ratchet) update(s *Session, id tlsstate.Identity, o tlsstate.Observation, rule *tlsstate.Policy) (v tlsstate.Verdict, err error) {
	if id.IsZero() {
		return v, nil
	}
	if r.o.Observe != nil {
		defer r.timed(Learning, time.Now())
	}
	return Save(r.o.Histories, id, s.Peer.IP, o, rule)
}

// Save has an identity learn an observation, for a client's address as
// [Histories.Update] has it. The verdict states a pin that formed only if that was kept.
func Save(to Histories, id tlsstate.Identity, client netip.Addr, o tlsstate.Observation, rule *tlsstate.Policy) (v tlsstate.Verdict, err error) {
	after, err := to.Update(id, client, o.Day, func(h tlsstate.History) tlsstate.History {
		v, h = tlsstate.Learn(h, o, rule)
		return h
	})
	if v.Identity = id; err != nil {
		err = fmt.Errorf("saving %s: %w", id, err)
	}
	if v.Pinned() { // where that was not kept, it would form again
		if again, _ := tlsstate.Learn(after, o, rule); err != nil || again.Pinned() {
			v.Unsaved()
		}
	}
	return v, err
}
