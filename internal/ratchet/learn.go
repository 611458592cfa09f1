package ratchet

import (
	"errors"
	"fmt"
	"time"

	"tlsratchet/tlsstate"
)

// Learn saves what a session that [Ratchet.Decide] judged teaches. Call it once
// a recipient was accepted, so that nobody teaches us without a message that
// somebody here would take. What can't be saved is logged and lost; the peer's
// next message makes it again.
func (r *Ratchet) Learn(s *Session, d *Decision) {
	defer func() {
		if p := recover(); p != nil {
			r.failures.panicked(p)
		}
	}()
	if !d.Changes || !r.clock.writes(s.day(), r.o.Histories.Newest(), r.o.Log) {
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
	if s.Level > tlsstate.Plaintext {
		_, err := r.update(s, s.Peer.Listener, s.listenerObservation(), d.rule)
		errs = append(errs, err)
	}
	v, err := r.update(s, s.Peer.Address, s.observation(), d.rule)
	errs = append(errs, err)
	_, err = r.update(s, s.Peer.Domain, s.domainObservation(&v), d.rule)
	r.saveSender(s, d)
	return errors.Join(append(errs, err)...)
}

// saveSender has the session learned for its sender once that is proven.
func (r *Ratchet) saveSender(s *Session, d *Decision) {
	if d.claim.Identity.IsZero() {
		return
	}
	// That comes later: of what is only lent it needs copies.
	session, rule, id := *s, d.rule, d.claim.Identity
	r.o.Senders.Learn(d.claim, func() {
		if _, err := r.update(&session, id, session.observation(), rule); err != nil {
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
	_, err = r.o.Histories.Learn(id, s.Peer.IP, o.Day, func(h tlsstate.History) tlsstate.History {
		var after tlsstate.History
		v, after = tlsstate.Judge(h, o, rule)
		return after
	})
	if err != nil {
		return v, fmt.Errorf("saving %s: %w", id, err)
	}
	return v, nil
}
