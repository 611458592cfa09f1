package shared

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// errMistaken: a record of the server's that was left alone.
var errMistaken = errors.New("a record on the shared server was left alone")

// shareable reports whether an identity means the same to all hosts. A listener
// is a host's own; another host may have one of the same name.
func shareable(id tlsstate.Identity) bool {
	return !id.IsZero() && id.Kind != tlsstate.Listener
}

// key returns the key of an identity.
func (s *Store) key(id tlsstate.Identity) string { return s.opts.Prefix + id.String() }

// parseKey is the inverse of key.
func (s *Store) parseKey(key string) (tlsstate.Identity, bool) {
	text, ok := strings.CutPrefix(key, s.opts.Prefix)
	if !ok {
		return tlsstate.Identity{}, false
	}
	id, err := tlsstate.ParseIdentity(text)
	return id, err == nil && shareable(id)
}

// decode returns the history in a value of the server's, the zero History for
// none.
func decode(value string) (tlsstate.History, error) {
	if value == "" {
		return tlsstate.History{}, nil
	}
	if len(value) > tlsstate.MaxRecord {
		return tlsstate.History{}, fmt.Errorf("%w: more than %d bytes", tlsstate.ErrDamaged, tlsstate.MaxRecord)
	}
	return tlsstate.Decode([]byte(value))
}

func encode(h tlsstate.History) string {
	b, _ := h.AppendBinary(make([]byte, 0, tlsstate.MaxRecord)) // never fails
	return string(b)
}

// meeting is how a local history and a record of the server's met.
type meeting struct {
	swap                  // what the server lacks: is is "" if it lacks nothing
	mine tlsstate.History // the two, joined
	news bool             // it brought something to the local memory
}

// meet joins a record of the server's into the local memory. An error that
// wraps errMistaken says that the record was left alone.
func (s *Store) meet(id tlsstate.Identity, theirs string) (meeting, error) {
	m, rule := meeting{swap: swap{id: id, was: theirs}}, s.opts.Policy(id.Kind)
	h, err := decode(theirs)
	if err != nil {
		s.undecodable.Add(1)
		return m, fmt.Errorf("%w: %s: %w", errMistaken, id, err)
	}
	if h == (tlsstate.History{}) {
		m.mine, err = s.local.Load(id)
	} else {
		m.mine, m.news, err = s.update(id, netip.Addr{}, s.today(), func(cur tlsstate.History) tlsstate.History { return join(cur, h, rule) })
	}
	if errors.Is(err, store.ErrFuture) || errors.Is(err, store.ErrInvalid) {
		s.refused.Add(1)
		return m, fmt.Errorf("%w: %w", errMistaken, err)
	}
	if m.mine == (tlsstate.History{}) || err != nil {
		return m, err // nothing is known: a newcomer that found no room
	}
	if is := encode(m.mine); is != theirs {
		m.key, m.is, m.life = s.key(id), is, s.life(&m.mine, rule)
	}
	return m, nil
}

// join is [tlsstate.Merge], and the pins that only both together bear out.
func join(mine, theirs tlsstate.History, rule *tlsstate.Policy) tlsstate.History {
	met := tlsstate.Merge(mine, theirs)
	if met == mine || met == theirs {
		return met
	}
	return met.Form(rule)
}

// How many days the server keeps a record after the newest day in it: as long
// as the window looks back, or a pin holds; longer what an operator did, so that
// a host that was away long doesn't bring a dropped pin back.
const (
	keepSeen     = tlsstate.Window
	keepOperated = 360
)

// life returns for how many seconds the server is to keep a record.
func (s *Store) life(h *tlsstate.History, rule *tlsstate.Policy) int64 {
	keep := keepSeen
	for _, p := range append(h.Pins[:], h.CertPin) {
		if p.Formed > 0 {
			keep = max(keep, rule.PinMaxAgeDays)
		}
	}
	if h.Epoch > 0 {
		keep = max(keep, keepOperated)
	}
	left := int(h.Newest()) + keep - int(s.today())
	return int64(max(left, 1)) * 86400
}
