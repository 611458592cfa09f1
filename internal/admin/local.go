package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

// Local works on the memory itself. Its fields don't change once it is used.
type Local struct {
	// Memory is what it works on, under the Rules for a kind that are current when
	// something is asked for. Required, as are Now and Log, which gets a line for
	// each act.
	Memory store.Store
	Rules  func(tlsstate.Kind) *tlsstate.Rules
	Now    func() time.Time
	Log    *slog.Logger
	// Acted, if not nil, is called after each act.
	Acted func()
	// History is the file of the daemon's memory; "" where none runs.
	History string
	// Listeners, if not nil, returns where the daemon listens.
	Listeners func() []string
	// Book has the incidents and the counts of messages by day; nil for none.
	Book *incident.Book
	// CircuitBreaker is the daemon's circuit breaker, nil where none runs; Sending its
	// sending side, nil where that is off.
	CircuitBreaker *ratchet.Breaker
	// Senders are the daemon's, nil where it has none: whose sender claims to be one
	// is explained as if SPF proved it.
	Senders ratchet.Senders
	Sending Sending
}

// Sending is the daemon's sending side.
type Sending interface {
	Overview() outbound.Overview
	Explain(destination string) (outbound.Explanation, error)
	Override(wish string)
}

// Admin returns the operations on the memory. Their Close closes nothing.
func (l *Local) Admin() *Admin {
	return &Admin{
		Peers: l.peers, Peer: l.peer, Explain: l.explain, Do: l.do, Import: l.merge, Breaker: l.breaker, Outbound: l.outbound, ExplainTo: l.explainTo,
		Close: func() error { return nil }, export: l.export, summary: l.summary, incidents: l.incidents,
	}
}

func (l *Local) today() tlsstate.Day { return tlsstate.DayOf(l.Now()) }

func (l *Local) summary(context.Context, struct{}) (s Summary, err error) {
	s.Newest, s.History, s.Trouble = l.Memory.Newest().String(), l.History, l.Memory.Stats().Trouble
	if l.Listeners != nil {
		s.Listeners = l.Listeners()
	}
	if l.Book != nil {
		s.Tally = l.Book.Tally(l.today())
	}
	return s, nil
}

func (l *Local) incidents(context.Context, struct{}) ([]incident.Incident, error) {
	if l.Book == nil {
		return nil, nil
	}
	return l.Book.All(), nil
}

func (l *Local) peer(_ context.Context, id tlsstate.Identity) (Detail, error) {
	if err := checkIdentity(id); err != nil {
		return Detail{}, err
	}
	h, err := l.Memory.Load(id)
	if err != nil {
		return Detail{}, fmt.Errorf("loading %s: %w", id, err)
	}
	if h == (tlsstate.History{}) {
		return Detail{}, l.unknown(id)
	}
	return detail(id, h, l.Rules(id.Kind).Default(), l.today()), nil
}

// checkIdentity refuses an identity that the JSON of a question or a line left out.
func checkIdentity(id tlsstate.Identity) error {
	if id.IsZero() {
		return fmt.Errorf("%w: no identity: want kind:name", ErrBadRequest)
	}
	return nil
}

// acts are what [Act] can do to a history.
var acts = map[string]func(tlsstate.History, tlsstate.Day) tlsstate.History{
	"unpin": tlsstate.History.Unpin, "forget": tlsstate.History.Forget,
}

// Check returns what is wrong with an act: an error that wraps [ErrBadRequest].
func (a Act) Check() error {
	if acts[a.Do] == nil {
		return fmt.Errorf("%w: unknown act %q: use unpin or forget", ErrBadRequest, a.Do)
	}
	return checkReason(a.Why)
}

func (l *Local) do(ctx context.Context, a Act) (Detail, error) {
	if err := a.Check(); err != nil {
		return Detail{}, err
	}
	id, today := a.Identity, l.today()
	if _, err := l.peer(ctx, id); err != nil {
		return Detail{}, err
	}
	h, err := l.Memory.Update(id, netip.Addr{}, today, func(h tlsstate.History) tlsstate.History { return acts[a.Do](h, today) })
	if err != nil {
		return Detail{}, fmt.Errorf("%s %s: %w", a.Do, id, err)
	}
	l.audit(ctx, a.Do, a.Why, a.Who, "identity", id.String())
	d := detail(id, h, l.Rules(id.Kind).Default(), today)
	if id.Kind == tlsstate.Domain {
		d.Words = append(d.Words, l.stillPinned(id.Name)...)
	}
	d.Later, err = l.flush(ctx, id)
	return d, err
}

// flush writes what was changed. Where hosts share the memory and their server
// is away, it is done here, and later states that the other hosts follow; or it states
// of which of these identities the server's record keeps the others from it.
func (l *Local) flush(ctx context.Context, ids ...tlsstate.Identity) (later string, err error) {
	err = l.Memory.Flush(ctx)
	if errors.Is(err, shared.ErrAway) {
		return "Done on this host; " + err.Error(), nil
	}
	if keys := l.unread(ids...); keys != nil && err == nil {
		later = "Done on this host alone where the record on the shared server can't be read: if a newer tlsratchet wrote it, update this host; else delete its key and do this again: " + strings.Join(keys, ", ")
		if len(keys) >= maxReasons {
			later += ", and maybe more"
		}
	}
	return later, err
}

// unread returns the keys of the records of identities that can't be read on the server
// which hosts share.
func (l *Local) unread(ids ...tlsstate.Identity) (keys []string) {
	m, ok := l.Memory.(hosts)
	for i := 0; ok && i < len(ids); i++ {
		if key := m.Unread(ids[i]); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}
