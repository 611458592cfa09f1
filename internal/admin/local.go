package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store/shared"
)

// Memory is what Local works on: a store of package tlsstate/store.
type Memory interface {
	ratchet.Histories
	Len() int
	All(start tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error)
	Flush(ctx context.Context) error
}

// Local works on the memory itself. Its fields don't change once it is used.
type Local struct {
	// Memory is what it works on, under the Rules for a kind that are current when
	// something is asked for. Required, as are Now and Log, which gets a line for
	// each act.
	Memory Memory
	Rules  func(tlsstate.Kind) *tlsstate.Rules
	Now    func() time.Time
	Log    *slog.Logger
	// Release, if not nil, is called by Close, and Acted after each act.
	Release func() error
	Acted   func()
	// Listeners, if not nil, returns where the daemon listens.
	Listeners func() []string
	// Book has the incidents and the counts of messages by day; nil for none.
	Book *incident.Book
	// CircuitBreaker is the daemon's circuit breaker, nil where none runs; Sending its
	// sending side, nil where that is off.
	CircuitBreaker *ratchet.Breaker
	Sending        Sending
}

// Sending is the daemon's sending side.
type Sending interface {
	Overview() outbound.Overview
	Explain(destination string) (outbound.Explanation, error)
	Override(wish string) error
}

// Close releases the memory.
func (l *Local) Close() error {
	if l.Release == nil {
		return nil
	}
	return l.Release()
}

func (l *Local) today() tlsstate.Day { return tlsstate.DayOf(l.Now()) }

// Summary implements [Admin].
func (l *Local) Summary(context.Context) (s Summary, err error) {
	s.Newest = l.Memory.Newest().String()
	if l.Listeners != nil {
		s.Listeners = l.Listeners()
	}
	if l.Book != nil {
		s.Tally = l.Book.Tally(l.today())
	}
	return s, nil
}

// Incidents implements [Admin].
func (l *Local) Incidents(context.Context) ([]incident.Incident, error) {
	if l.Book == nil {
		return nil, nil
	}
	return l.Book.All(), nil
}

// Peer implements [Admin].
func (l *Local) Peer(_ context.Context, id tlsstate.Identity) (Detail, error) {
	h, err := l.Memory.Load(id)
	if err != nil {
		return Detail{}, fmt.Errorf("loading %s: %w", id, err)
	}
	if h == (tlsstate.History{}) {
		return Detail{}, l.unknown(id)
	}
	return detail(id, h, l.Rules(id.Kind).Default(), l.today()), nil
}

// Do implements [Admin].
func (l *Local) Do(ctx context.Context, a Act) (Detail, error) {
	id, err := tlsstate.ParseIdentity(a.Identity)
	if err != nil {
		return Detail{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if err := given(a.Why); err != nil {
		return Detail{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	today := l.today()
	grow := map[string]func(tlsstate.History) tlsstate.History{
		"unpin":  func(h tlsstate.History) tlsstate.History { return h.Unpin(today) },
		"forget": func(h tlsstate.History) tlsstate.History { return h.Forget(today) },
	}[a.Do]
	if grow == nil {
		return Detail{}, fmt.Errorf("%w: unknown act %q: use unpin or forget", ErrBadRequest, a.Do)
	}
	if before, err := l.Memory.Load(id); err != nil {
		return Detail{}, fmt.Errorf("loading %s: %w", id, err)
	} else if before == (tlsstate.History{}) {
		return Detail{}, l.unknown(id)
	}
	h, err := l.Memory.Update(id, netip.Addr{}, today, grow)
	if err != nil {
		return Detail{}, fmt.Errorf("%s %s: %w", a.Do, id, err)
	}
	l.audit(ctx, a.Do, a.Why, a.Who, "identity", id.String())
	if l.Acted != nil {
		l.Acted()
	}
	d := detail(id, h, l.Rules(id.Kind).Default(), today)
	if id.Kind == tlsstate.Domain {
		d.Words = append(d.Words, l.stillPinned(id.Name)...)
	}
	d.Later, err = l.flush(ctx)
	return d, err
}

// flush writes what was changed. Where hosts share the memory and their server
// is away, it is done here, and later states that the other hosts follow.
func (l *Local) flush(ctx context.Context) (later string, err error) {
	err = l.Memory.Flush(ctx)
	if errors.Is(err, shared.ErrAway) {
		return "Done on this host; " + err.Error(), nil
	}
	return "", err
}

// Explain implements [Admin].
func (l *Local) Explain(_ context.Context, q Question) (Answer, error) {
	s, err := l.session(q)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	e, err := ratchet.New(ratchet.Options{Histories: l.Memory, Rules: l.Rules(tlsstate.Address), Breaker: l.CircuitBreaker, Log: l.Log}).Explain(s)
	if err != nil {
		return Answer{}, err
	}
	a := answer(s, &e)
	if id, ok := stranger(&e); ok {
		if near := l.near(id); len(near) > 0 {
			a.Rules = append(a.Rules, fmt.Sprintf("Nothing is known of %s; there is %s.", id, strings.Join(near, ", ")))
		}
	}
	return a, nil
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

// session makes up the session of a question.
func (l *Local) session(q Question) (*ratchet.Session, error) {
	if host, _ := hostAndAddress(q.Name); strings.HasPrefix(q.Name, rowKind) && host != "" && l.Rules(tlsstate.Domain).For(netip.Addr{}, host).Row != host {
		q.From = cmp.Or(q.From, "postmaster@"+host) // of a row by sender
	}
	if q.From != "" && spf.DomainOf(q.From) == "" {
		return nil, fmt.Errorf("%q is no sender: want an address, such as alice@partner.example", clean.Text(q.From, 300))
	}
	s := &ratchet.Session{At: l.Now()}
	if q.TLS != "" && q.TLS != tlsstate.Plaintext.String() {
		s.Protocol = q.TLS
		s.Level = tlsstate.LevelOf(q.TLS, "")
	}
	if id, err := tlsstate.ParseIdentity(q.Name); err == nil && id.Kind > tlsstate.Domain && q.Client == "" {
		if s, err = ratchet.SessionOf(id, s.At, s.Security); err != nil {
			return nil, fmt.Errorf("%w: name a host, a domain, an address or a sender; --to explains a destination", err)
		}
		s.From = q.From
		return s, nil
	}
	s.From = q.From
	return s, identify(s, q)
}

// identify fills in the client of a question.
func identify(s *ratchet.Session, q Question) (err error) {
	host, address := hostAndAddress(q.Name)
	client := cmp.Or(strings.Trim(q.Client, "[]"), address)
	switch {
	case client != "":
		resolve := ""
		if host != "" {
			resolve = "OK"
		}
		if s.Peer, err = peer.Identify(peer.Client{Addr: client, Name: host, Resolve: resolve}); err != nil || address == "" {
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

// hostAndAddress returns the host and the address of a client that an operator names:
// by one of them, by its identity, by the row that it falls under, or as logs
// have it, "mx1.bank.example[192.0.2.10]". What is not there is "".
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

// Resolve returns the identity that an operator means: "domain:bank.example"
// as it is, an address, or a host name by its organisational domain. The error
// says what would be right.
func Resolve(name string) (tlsstate.Identity, error) {
	if id, err := tlsstate.ParseIdentity(name); err == nil {
		return id, nil
	}
	host, address := hostAndAddress(name)
	if p, err := peer.Identify(peer.Client{Addr: address}); err == nil {
		return p.Address, nil
	}
	host, err := peer.Normalize(host)
	if err != nil {
		return tlsstate.Identity{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	d, ok := peer.Domain(host, netip.Addr{})
	if !ok {
		return tlsstate.Identity{}, fmt.Errorf("%w: %s is no host or organisational domain; an identity is written as in the log, such as address:192.0.2.10", ErrBadRequest, host)
	}
	return tlsstate.Identity{Kind: tlsstate.Domain, Name: d}, nil
}
