package admin

import (
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
	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

// Memory is what Local works on: a store of package tlsstate/store.
type Memory interface {
	ratchet.Histories
	Update(id tlsstate.Identity, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error)
	Len() int
	Merge(id tlsstate.Identity, h tlsstate.History, today tlsstate.Day) (tlsstate.History, error)
	All(start tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error)
	Flush(ctx context.Context) error
}

// Local works on the memory itself.
type Local struct {
	memory Memory
	rules  func() *tlsstate.Rules
	now    func() time.Time
	log    *slog.Logger
	close  func() error
	// sending is the daemon's sending side, or nil.
	sending  Sending
	isDaemon bool
	// breaker is the daemon's, or nil.
	breaker *ratchet.Breaker
	book    *incident.Book // or nil
}

// WithBook adds the incidents and the counts of messages by day.
func (l *Local) WithBook(book *incident.Book) *Local {
	l.book = book
	return l
}

// Tally implements [Admin].
func (l *Local) Tally(context.Context) (incident.Tally, error) {
	if l.book == nil {
		return nil, nil
	}
	return l.book.Tally(l.today()), nil
}

// Incidents implements [Admin].
func (l *Local) Incidents(context.Context) ([]incident.Incident, error) {
	if l.book == nil {
		return nil, nil
	}
	return l.book.All(), nil
}

// WithBreaker gives the operations the daemon's circuit breaker.
func (l *Local) WithBreaker(b *ratchet.Breaker) *Local {
	l.breaker = b
	return l
}

// NewLocal returns the operations on a memory, under the rules that are current
// when one is asked for. log gets a line for each act; close, which may be nil,
// is called by Close.
func NewLocal(memory Memory, rules func() *tlsstate.Rules, now func() time.Time, log *slog.Logger, close func() error) *Local {
	return &Local{memory: memory, rules: rules, now: now, log: log, close: close}
}

// Close releases the memory.
func (l *Local) Close() error {
	if l.close == nil {
		return nil
	}
	return l.close()
}

func (l *Local) today() tlsstate.Day { return tlsstate.DayOf(l.now()) }

// Summary implements [Admin].
func (l *Local) Summary(context.Context) (Summary, error) {
	return Summary{Identities: l.memory.Len(), Newest: l.memory.Newest().String()}, nil
}

// Peer implements [Admin].
func (l *Local) Peer(_ context.Context, id tlsstate.Identity) (Detail, error) {
	h, err := l.memory.Load(id)
	if err != nil {
		return Detail{}, fmt.Errorf("loading %s: %w", id, err)
	}
	if h == (tlsstate.History{}) {
		return Detail{}, l.unknown(id)
	}
	return detail(id, h, l.rules().Default(), l.today()), nil
}

// Do implements [Admin].
func (l *Local) Do(ctx context.Context, a Act) (Detail, error) {
	id, err := tlsstate.ParseIdentity(a.Identity)
	if err != nil {
		return Detail{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if a.Why == "" {
		return Detail{}, fmt.Errorf("%w: say why: it goes into the log", ErrBadRequest)
	}
	today := l.today()
	grow := map[string]func(tlsstate.History) tlsstate.History{
		"unpin":  func(h tlsstate.History) tlsstate.History { return h.Unpin(today) },
		"forget": func(h tlsstate.History) tlsstate.History { return h.Forget(today) },
	}[a.Do]
	if grow == nil {
		return Detail{}, fmt.Errorf("%w: unknown act %q: use unpin or forget", ErrBadRequest, a.Do)
	}
	if before, err := l.memory.Load(id); err != nil {
		return Detail{}, fmt.Errorf("loading %s: %w", id, err)
	} else if before == (tlsstate.History{}) {
		return Detail{}, l.unknown(id)
	}
	h, err := l.memory.Update(id, today, grow)
	if err != nil {
		return Detail{}, fmt.Errorf("%s %s: %w", a.Do, id, err)
	}
	l.log.Warn("operator", "act", a.Do, "identity", id.String(), "why", clean.Text(a.Why, 300), "who", who(ctx, a.Who))
	d := detail(id, h, l.rules().Default(), today)
	if id.Kind == tlsstate.Domain {
		d.Words = append(d.Words, l.stillPinned(id.Name)...)
	}
	d.Later, err = l.flush(ctx)
	return d, err
}

// flush writes what was changed. Where hosts share the memory and their server
// is away, it is done here, and later states that the other hosts follow.
func (l *Local) flush(ctx context.Context) (later string, err error) {
	err = l.memory.Flush(ctx)
	if errors.Is(err, shared.ErrAway) {
		return "Done on this host; " + err.Error(), nil
	}
	return "", err
}

// Export implements [Admin].
func (l *Local) Export(ctx context.Context) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		seq, failed := l.memory.All(tlsstate.Identity{})
		for id, h := range seq {
			if err := ctx.Err(); err != nil {
				yield(Line{}, err)
				return
			}
			if !yield(Line{Identity: id.String(), History: h}, nil) {
				return
			}
		}
		if err := failed(); err != nil {
			yield(Line{}, fmt.Errorf("reading the memory: %w", err))
		}
	}
}

// Import implements [Admin].
func (l *Local) Import(ctx context.Context, act, claimed string, lines iter.Seq2[Line, error]) (done Imported, err error) {
	defer func() { // also after a failure: what was merged stays
		l.log.Warn("operator", "act", clean.Text(act, 20), "lines", done.Lines, "changed", done.Changed, "refused", done.Refused, "who", who(ctx, claimed))
	}()
	for line, err := range lines {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return done, err
		}
		if err := l.importOne(ctx, line, &done); err != nil {
			return done, fmt.Errorf("line %d: %w", done.Lines+1, err)
		}
		if done.Lines++; done.Lines%batchLines == 0 {
			if _, err := l.flush(ctx); err != nil {
				return done, err
			}
		}
	}
	done.Later, err = l.flush(ctx)
	return done, err
}

func (l *Local) importOne(ctx context.Context, line Line, done *Imported) error {
	id, err := tlsstate.ParseIdentity(line.Identity)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	var before, after tlsstate.History
	err = patiently(ctx, func() (err error) {
		if before, err = l.memory.Load(id); err == nil {
			after, err = l.memory.Merge(id, line.History, l.today())
		}
		return err
	})
	if errors.Is(err, store.ErrFuture) {
		done.Refused++
		return nil
	}
	if err != nil {
		return fmt.Errorf("merging %s: %w", id, err)
	}
	if after != before {
		done.Changed++
	}
	return nil
}

// Explain implements [Admin].
func (l *Local) Explain(_ context.Context, q Question) (Answer, error) {
	s, err := l.session(q)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	e, err := ratchet.New(ratchet.Options{Histories: l.memory, Rules: l.rules(), Breaker: l.breaker, Log: l.log}).Explain(s)
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
	s := &ratchet.Session{At: l.now(), From: q.From}
	if q.From != "" && spf.DomainOf(q.From) == "" {
		return nil, fmt.Errorf("%q is no sender: want an address, such as alice@partner.example", clean.Text(q.From, 300))
	}
	if q.TLS != "" && q.TLS != tlsstate.Plaintext.String() {
		s.Protocol = q.TLS
		s.Level = tlsstate.LevelOf(q.TLS, "")
	}
	switch {
	case q.Client != "":
		resolve := ""
		if q.Name != "" {
			resolve = "OK"
		}
		p, err := peer.Identify(peer.Client{Addr: q.Client, Name: q.Name, Resolve: resolve})
		if err != nil {
			return nil, err
		}
		s.Peer = p
	case q.Name != "":
		host, err := peer.Normalize(q.Name)
		if err != nil {
			return nil, err
		}
		s.Peer.Host = host
		if d, ok := peer.Domain(host, netip.Addr{}); ok {
			s.Peer.Domain = tlsstate.Identity{Kind: tlsstate.Domain, Name: d}
		}
	default:
		return nil, errors.New("name a peer, or a client's address")
	}
	return s, nil
}
