package milter

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	gomilter "github.com/emersion/go-milter"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
)

// What we ask of Postfix in the negotiation.
const (
	// Actions are the changes that we may make to a message.
	Actions = gomilter.OptAddHeader | gomilter.OptChangeHeader | gomilter.OptQuarantine | gomilter.OptSetSymList
	// Protocol leaves out every stage that we have no use for, and the answers
	// to headers.
	Protocol = gomilter.OptNoConnect | gomilter.OptNoHelo | gomilter.OptNoData | gomilter.OptNoUnknown |
		gomilter.OptNoEOH | gomilter.OptNoBody | gomilter.OptNoHeaderReply
)

// Milter makes the backends of connections.
type Milter struct {
	deps    Deps
	options atomic.Pointer[Options]
	log     *slog.Logger

	noMacros atomic.Uint64
	troubles atomic.Uint64
	// hasFacts: some message came with a client address. warned: a message
	// without one was logged. stacked: the stack of a panic was logged.
	hasFacts, warned, stacked atomic.Bool
}

// New returns a milter that works with deps and logs to log.
func New(deps Deps, options Options, log *slog.Logger) *Milter {
	m := &Milter{deps: deps, log: log}
	m.SetOptions(options)
	return m
}

// SetOptions replaces the options. A message under way keeps those it began
// with.
func (m *Milter) SetOptions(o Options) { m.options.Store(&o) }

// Backend returns the backend for a new connection.
func (m *Milter) Backend() gomilter.Milter { return &session{m: m} }

// KeepHeader reports whether a header of a message is of interest.
func KeepHeader(name []byte) bool { return strings.EqualFold(string(name), words.HeaderName) }

// NoMacros returns how many messages came without a client address.
func (m *Milter) NoMacros() uint64 { return m.noMacros.Load() }

// Troubles returns how many messages were accepted because something went wrong
// inside.
func (m *Milter) Troubles() uint64 { return m.troubles.Load() }

// noFacts counts a message without a client address, and logs the first: as an
// error where no message had one yet.
func (m *Milter) noFacts(f *ratchet.Facts, err error) {
	m.noMacros.Add(1)
	if !m.warned.CompareAndSwap(false, true) {
		return
	}
	cause := slog.String("error", clean.Text(err.Error(), maxValue))
	if m.hasFacts.Load() || f.Client.Addr != "" {
		m.log.Warn("client address unknown; message accepted without judgement; further ones are only counted", cause)
		return
	}
	m.log.Error("Postfix does not send the macros that were asked for at MAIL; nothing is judged or learned until it does; check that the milter's client is Postfix and that no proxy in between removes {client_addr}", cause)
}

func (m *Milter) trouble(doing string, err error) {
	m.troubles.Add(1)
	m.log.Error("milter callback failed; message accepted", "doing", doing, "error", clean.Text(err.Error(), maxValue))
}

// guard turns a panic in a callback into the given answer: it would close the
// connection, and Postfix's default action decide. The first one is logged with
// its stack.
func (m *Milter) guard(instead gomilter.Response, resp *gomilter.Response) {
	p := recover()
	if p == nil {
		return
	}
	m.troubles.Add(1)
	attrs := []any{"error", clean.Text(fmt.Sprint(p), maxValue)}
	if m.stacked.CompareAndSwap(false, true) {
		attrs = append(attrs, "stack", clean.Stack())
	}
	m.log.Error("panic in a milter callback; message accepted", attrs...)
	*resp = instead
}
