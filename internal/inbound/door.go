// Package inbound is what both doors for the mail that comes, the milter and the
// policy service, do alike: a message is judged, learned at the first recipient
// that Postfix accepted (RFC 5321 section 3.3), refused recipient by recipient,
// and reported once.
package inbound

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
)

// Options are what an operator wants of a door. They are immutable;
// [Door.SetOptions] swaps them whole.
type Options struct {
	// HeaderAll adds the header to every message, not to downgrades alone.
	HeaderAll bool
	// ExemptRecipients get what others are refused.
	ExemptRecipients Recipients
	// Contact is a URL or address for reply texts, or empty.
	Contact string
}

// Judge decides what a session means and learns from it: a *ratchet.Ratchet,
// or in tests one that fails.
type Judge interface {
	Decide(*ratchet.Session) ratchet.Decision
	Learn(*ratchet.Session, *ratchet.Decision)
}

var _ Judge = (*ratchet.Ratchet)(nil)

// Deps are what a door works with. All are required.
type Deps struct {
	Judge Judge
	Now   func() time.Time
	// Events is called with what became of each message that was judged. It is
	// on the mail path and must not block.
	Events func(ratchet.Event)
	Log    *slog.Logger
}

// Door is a way by which Postfix asks about mail. Its methods may be called at
// the same time.
type Door struct {
	Deps
	options atomic.Pointer[Options]

	noFacts, failures atomic.Uint64
	// warned: a message without facts was logged.
	warned atomic.Bool
	panics clean.Panics
}

// New returns a door that works with deps.
func New(deps Deps, o Options) *Door {
	d := &Door{Deps: deps}
	d.SetOptions(o)
	return d
}

// SetOptions replaces the options. A message under way keeps those it began
// with.
func (d *Door) SetOptions(o Options) { d.options.Store(&o) }

// NoFacts returns how many messages came without a client address.
func (d *Door) NoFacts() uint64 { return d.noFacts.Load() }

// Failures returns how many messages were accepted because something went wrong
// inside.
func (d *Door) Failures() uint64 { return d.failures.Load() }

// Unknown counts a message without a client address, and logs the first: as an
// error where the cause is known.
func (d *Door) Unknown(err error, cause string) {
	d.noFacts.Add(1)
	if d.warned.Swap(true) {
		return
	}
	level := slog.LevelError
	if cause == "" {
		level, cause = slog.LevelWarn, "client address unknown; message accepted without judgement; further ones are only counted"
	}
	d.Log.Log(context.Background(), level, cause, "error", clean.Text(err.Error(), maxError))
}

// maxError is how much of an error's text is logged, in bytes.
const maxError = 300

// Failed counts and logs a failure inside that mail is not to suffer from.
func (d *Door) Failed(text string, err error) {
	d.failures.Add(1)
	d.Log.Error(text, "error", clean.Text(err.Error(), maxError))
}

// Panicked counts and logs a panic.
func (d *Door) Panicked(text string, p any) {
	d.failures.Add(1)
	d.panics.Log(d.Log, text, p)
}
