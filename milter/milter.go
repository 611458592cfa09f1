package milter

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"

	gomilter "github.com/emersion/go-milter"

	"tlsratchet/internal/clean"
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
	warned   atomic.Bool
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

// Symbols returns the macros to ask for, by stage (SMFIF_SETSYMLIST).
func Symbols() map[gomilter.Stage][]string { return symbols() }

// KeepHeader tells whether a header of a message is of interest.
func KeepHeader(name []byte) bool { return strings.EqualFold(string(name), words.HeaderName) }

// NoMacros returns how many messages came without the macros asked for.
func (m *Milter) NoMacros() uint64 { return m.noMacros.Load() }

// Troubles returns how many messages were let through because something went
// wrong inside.
func (m *Milter) Troubles() uint64 { return m.troubles.Load() }

// canary notes a message whose macros did not come: loudly once, then in a
// counter.
func (m *Milter) canary(err error) {
	m.noMacros.Add(1)
	if m.warned.CompareAndSwap(false, true) {
		m.log.Error("the MTA does not send the macros that were asked for at MAIL: nothing is judged or learned until it does; is this Postfix, and is {client_addr} not filtered by a proxy in between?",
			"error", clean.Text(err.Error(), maxValue))
	}
}

func (m *Milter) trouble(doing string, err error) {
	m.troubles.Add(1)
	m.log.Error("message let through", "doing", doing, "error", clean.Text(err.Error(), maxValue))
}

// guard turns a panic in a callback into the given answer: it would close the
// connection, and Postfix's default action decide.
func (m *Milter) guard(instead gomilter.Response, resp *gomilter.Response) {
	if p := recover(); p != nil {
		m.trouble("a callback", fmt.Errorf("panic: %v", p))
		m.log.Debug("panic", "stack", clean.Text(string(debug.Stack()), 8000))
		*resp = instead
	}
}
