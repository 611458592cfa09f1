package ratchet

import (
	"errors"
	"fmt"

	"tlsratchet/tlsstate"
)

// Learn saves what a session that [Ratchet.Decide] judged teaches. Call it once
// a recipient was accepted, so that nobody teaches us without a message that
// somebody here would take. What can't be saved is logged and lost; the peer's
// next message makes it again.
func (r *Ratchet) Learn(s *Session, d *Decision) {
	defer func() {
		if p := recover(); p != nil {
			r.failed(fmt.Errorf("%w: %v", ErrPanic, p))
		}
	}()
	if !d.Changes || !r.clock.writes(s.day(), r.histories.Newest(), r.log) {
		return
	}
	if err := r.save(s, d); err != nil {
		r.failures.Add(1)
		r.log.Error("session not remembered", "error", err)
	}
}

func (r *Ratchet) save(s *Session, d *Decision) error {
	o := tlsstate.Observation{Day: s.day(), Security: s.Security}
	var errs []error
	if s.Level > tlsstate.Plaintext {
		_, err := r.update(s, s.Peer.Listener, s.atListener(), d)
		errs = append(errs, err)
	}
	v, err := r.update(s, s.Peer.Address, o, d)
	errs = append(errs, err)
	_, err = r.update(s, s.Peer.Domain, s.behind(o, &v), d)
	r.learnSender(s, d)
	return errors.Join(append(errs, err)...)
}

// update judges again, inside the store's compare-and-set: a pin forms on what
// is known now.
func (r *Ratchet) update(s *Session, id tlsstate.Identity, o tlsstate.Observation, d *Decision) (v tlsstate.Verdict, err error) {
	if id.IsZero() {
		return v, nil
	}
	_, err = r.histories.Learn(id, s.Peer.IP, o.Day, func(h tlsstate.History) tlsstate.History {
		var after tlsstate.History
		v, after = tlsstate.Judge(h, o, d.rule)
		return after
	})
	if err != nil {
		return v, fmt.Errorf("saving %s: %w", id, err)
	}
	return v, nil
}
