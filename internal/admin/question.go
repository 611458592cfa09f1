package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

func (l *Local) explain(_ context.Context, q Question) (Answer, error) {
	if host, _ := hostAndAddress(q.Name); strings.HasPrefix(q.Name, rowKind) && host != "" && l.Rules(tlsstate.Domain).For(netip.Addr{}, host).Row != host {
		q.From = cmp.Or(q.From, "postmaster@"+host) // of a row by sender
	}
	s, err := q.session(l.Now())
	if err != nil {
		return Answer{}, err
	}
	e, err := l.ExplainSession(s)
	if err != nil {
		return Answer{}, err
	}
	a := answer(s, &e)
	if id, ok := stranger(&e); ok {
		if near := l.near(id); len(near) > 0 {
			a.Rules = append(a.Rules, fmt.Sprintf("Nothing is known of %s. Similar names: %s.", id, strings.Join(near, ", ")))
		}
	}
	return a, nil
}

// ExplainSession judges a session by the memory as operators see it: command and
// page have the same answer.
func (l *Local) ExplainSession(s *ratchet.Session) (ratchet.Explanation, error) {
	return ratchet.New(ratchet.Options{Histories: l.Memory, Rules: l.Rules(tlsstate.Address), Breaker: l.CircuitBreaker, Senders: l.Senders, Log: l.Log}).Explain(s)
}

// stranger returns the identity that was most likely meant, if none of them has
// a history.
func stranger(e *ratchet.Explanation) (id tlsstate.Identity, ok bool) {
	for i := range e.Identities {
		if e.Identities[i].Verdict.Outcome != tlsstate.New {
			return id, false
		}
		id, ok = e.Identities[i].Verdict.Identity, true
	}
	return id, ok
}

// Check returns what is wrong with a question: an error that wraps [ErrBadRequest].
func (q Question) Check() error {
	_, err := q.session(time.Time{})
	return err
}

// session makes up the session of a question.
func (q Question) session(at time.Time) (*ratchet.Session, error) {
	if q.From != "" && spf.DomainOf(q.From) == "" {
		return nil, fmt.Errorf("%w: %q is no sender: want an address, such as alice@partner.example", ErrBadRequest, clean.Text(q.From, 300))
	}
	s := &ratchet.Session{At: at}
	if q.TLS != "" && q.TLS != tlsstate.Plaintext.String() {
		s.Protocol = q.TLS
		s.Level = tlsstate.LevelOf(q.TLS, "")
	}
	var err error
	if id, wrong := tlsstate.ParseIdentity(q.Name); wrong == nil && id.Kind > tlsstate.Domain && q.Client == "" {
		if s, err = ratchet.SessionOf(id, at, s.Security); err != nil {
			err = fmt.Errorf("%w: name a host, a domain, an address or a sender; --to explains a destination", err)
		}
	} else {
		err = identify(s, q)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	s.From = cmp.Or(q.From, s.From)
	return s, nil
}

// identify fills in the client of a question.
func identify(s *ratchet.Session, q Question) (err error) {
	host, address := hostAndAddress(q.Name)
	client := cmp.Or(strings.Trim(q.Client, "[]"), address)
	switch {
	case client != "":
		if s.Peer, err = peer.Identify(peer.Client{Addr: client, Name: host, Resolve: "OK"}); err != nil || address == "" {
			return err
		}
		if named, err := peer.Identify(peer.Client{Addr: address}); err == nil && named.Address != s.Peer.Address {
			return fmt.Errorf("the name is the address %s, and --client another one: give one of them", named.IP)
		}
	case host != "":
		if s.Peer.Host, err = peer.Normalize(host); err != nil {
			return err
		}
		if d, ok := peer.Domain(s.Peer.Host, netip.Addr{}); ok {
			s.Peer.Domain = tlsstate.Identity{Kind: tlsstate.Domain, Name: d}
		}
	default:
		return errors.New("name a peer, or a client's address")
	}
	return nil
}

// rowKind stands before the name of a row of the configuration where the log
// names that as what decided.
const rowKind = "row:"

// hostAndAddress returns the host and the address of a client that an operator names,
// "" for what is not there. A name is one of these, an identity, a row, or both as in
// logs: "mx1.bank.example[192.0.2.10]".
func hostAndAddress(name string) (host, address string) {
	name, isRow := strings.CutPrefix(name, rowKind)
	if network, err := netip.ParsePrefix(name); isRow && err == nil {
		return "", network.Addr().String()
	}
	if id, err := tlsstate.ParseIdentity(name); err == nil && id.Kind == tlsstate.Domain {
		return id.Name, ""
	} else if err == nil && id.Kind == tlsstate.Address {
		return "", id.Name
	}
	if host, rest, ok := strings.Cut(strings.TrimSuffix(name, "]"), "["); ok {
		return host, rest
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "", name
	}
	return name, ""
}
