package shared

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"time"

	"tlsratchet/tlsstate"
)

// Whole is a [Store] for operators, who want what all hosts know and can wait
// for it: it asks the server first. While the server is away it is the Store.
type Whole struct {
	*Store
}

const (
	// operatorPatience is how long an operator waits for one peer, and
	// listPatience for all.
	operatorPatience = time.Second
	listPatience     = 30 * time.Second
	// pullAhead is how many changes may wait to be written while more come.
	pullAhead = 10_000
)

// Load returns what all hosts know of an identity.
func (w Whole) Load(id tlsstate.Identity) (tlsstate.History, error) {
	w.refresh(w.opts.patience(operatorPatience), 0, []tlsstate.Identity{id})
	return w.Store.Load(id)
}

// Update is an operator's act on what all hosts know: its epoch is above
// theirs. Follow it by Flush, whose error reports if others don't know it yet.
func (w Whole) Update(id tlsstate.Identity, client netip.Addr, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	w.refresh(w.opts.patience(operatorPatience), 0, []tlsstate.Identity{id})
	return w.Store.Update(id, client, today, grow)
}

// Unread returns the key of the server's record of an identity where that could not be
// joined with ours when it was last asked for, or "": after a Flush without an error,
// what was done to it other hosts don't know, and won't.
func (w Whole) Unread(id tlsstate.Identity) (key string) {
	if !shareable(id) || w.recent.Contains(id) {
		return ""
	}
	return w.key(id)
}

// All returns what all hosts know: what the server has is joined into the local
// memory first. The function's error, beside those of [store.File.All], reports
// that this was not possible and the list is what this host knows.
func (w Whole) All(start tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error) {
	pulled := w.Pull(w.ctx)
	all, failed := w.Store.All(start)
	return all, func() error { return errors.Join(failed(), pulled) }
}

// Here returns what this host knows, as [store.File.All], and asks nobody.
func (w Whole) Here(start tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error) {
	return w.Store.All(start)
}

// Pull joins all that the server has into the local memory. It takes 30 s at
// most. An error that wraps [ErrPartial] says that it was not all.
func (s *Store) Pull(ctx context.Context) error {
	v := s.admit()
	if v == nil {
		return ErrPartial
	}
	defer s.asking.Release(1)
	ctx, cancel := context.WithTimeout(ctx, s.opts.patience(listPatience))
	defer cancel()
	err := v.scan(ctx, s.opts.Prefix, func(keys []string) error {
		var ids []tlsstate.Identity
		for _, key := range keys {
			if id, ok := s.parseKey(key); ok {
				ids = append(ids, id)
			}
		}
		if _, err := s.gather(ctx, v, ids); err != nil || s.local.Stats().Pending < pullAhead {
			return err
		}
		return s.local.Flush(ctx) // else it drops strangers
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPartial, err)
	}
	return nil
}
