package daemon

import (
	"context"
	"fmt"
	"log/slog"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// Lengths, in bytes, that texts of a peer's choice may have in a log line.
const (
	maxName    = 255
	maxAddress = 320 // RFC 5321 section 4.5.3.1: 64 + 1 + 255
	maxWords   = 600
)

// eventLog writes a line for each event that somebody should read: a
// downgrade, which explains itself, and a pin that formed or was let go.
type eventLog struct{ log *slog.Logger }

// Take writes the line of one event, if it has one.
func (l eventLog) Take(e ratchet.Event) {
	v := &e.Decision.Verdict
	switch {
	case v.Outcome == tlsstate.Downgraded:
		l.write(slog.LevelWarn, "downgrade", e, append(action(e), evidence(v)...))
	case v.Outcome == tlsstate.Raised:
		l.write(slog.LevelInfo, "pinned", e, evidence(v))
	case v.State == tlsstate.PinReleased && e.Decision.Changes:
		l.write(slog.LevelWarn, "pin released", e, evidence(v))
	}
}

func (l eventLog) write(level slog.Level, message string, e ratchet.Event, attrs []slog.Attr) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	v := &e.Decision.Verdict
	all := append(attrs, slog.String("client", clean.Text(e.Session.Client(), maxAddress)))
	if e.QueueID != "" {
		all = append(all, slog.String("queue_id", clean.Text(e.QueueID, maxName)))
	}
	all = append(all, slog.String("from", clean.Text("<"+e.From+">", maxAddress)))
	if e.Recipient != "" {
		all = append(all, slog.String("to", clean.Text("<"+e.Recipient+">", maxAddress)))
	}
	all = append(all, slog.String("why", clean.Text(v.String(), maxWords)))
	l.log.LogAttrs(context.Background(), level, message, all...)
}

// action tells what was done: under the name of what was to be done, if the
// message ended before it came to it.
func action(e ratchet.Event) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("kind", e.Decision.Kind.String()),
		slog.String("action", e.Decision.Action.String()),
	}
	if !e.Done {
		attrs = append(attrs, slog.Bool("done", false))
	}
	return attrs
}

func evidence(v *tlsstate.Verdict) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("identity", clean.Text(v.Identity.String(), maxName)),
		slog.String("pin", pin(v)),
		slog.String("seen", clean.Text(v.Seen.Words(), maxName)),
	}
	if v.Since > 0 {
		attrs = append(attrs,
			slog.String("since", v.Since.String()),
			slog.String("last", v.Last.String()),
			slog.String("days", fmt.Sprintf("%d/%d", v.Days, tlsstate.Window)))
	}
	return attrs
}

func pin(v *tlsstate.Verdict) string {
	if v.Kind == tlsstate.Unauthenticated {
		return "certificate"
	}
	return v.Pin.String()
}
