package words

import (
	"context"
	"fmt"
	"log/slog"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// Log writes the line of one event, if it has one: a downgrade, which explains
// itself, and a pin that formed or was released. What is not judged is logged at
// debug level.
func Log(log *slog.Logger, e *ratchet.Event) {
	v := &e.Decision.Verdict
	switch {
	case v.Outcome == tlsstate.Downgraded:
		write(log, slog.LevelWarn, "downgrade", e, append(action(e), evidence(e.Decision)...))
	case v.Pinned():
		write(log, slog.LevelInfo, "pinned", e, evidence(e.Decision))
	case v.State == tlsstate.PinReleased && e.Decision.Changes:
		write(log, slog.LevelWarn, "pin released", e, evidence(e.Decision))
	case v.Outcome == tlsstate.Exempt || v.Outcome == tlsstate.Unknown:
		write(log, slog.LevelDebug, "not judged", e, []slog.Attr{slog.String("outcome", v.Outcome.String())})
	}
}

func write(log *slog.Logger, level slog.Level, message string, e *ratchet.Event, attrs []slog.Attr) {
	if !log.Enabled(context.Background(), level) {
		return
	}
	attrs = append(attrs, slog.String("client", clean.Text(e.Session.Client(), maxAddress)))
	if e.QueueID != "" {
		attrs = append(attrs, slog.String("queue_id", clean.Text(e.QueueID, maxName)))
	}
	attrs = append(attrs, slog.String("from", clean.Text("<"+e.Session.From+">", maxAddress)))
	if e.Recipient != "" {
		attrs = append(attrs, slog.String("to", clean.Text("<"+e.Recipient+">", maxAddress)))
	}
	log.LogAttrs(context.Background(), level, message, append(attrs, slog.String("why", why(e)))...)
}

// why is the verdict in words, or the reason for there being none.
func why(e *ratchet.Event) string {
	if err := e.Decision.Reason; err != nil {
		return clean.Text(err.Error(), maxWords)
	}
	return Verdict(&e.Decision.Verdict)
}

// action is what was done to the message, or what was to be done to one that
// ended before that.
func action(e *ratchet.Event) []slog.Attr {
	d := e.Decision
	attrs := []slog.Attr{slog.String("kind", d.Kind.String()), slog.String("action", e.AppliedAction().String())}
	if !e.Done {
		attrs = append(attrs, slog.Bool("done", false))
	}
	if by := limitedBy(e); by != "" {
		attrs = append(attrs, slog.String("limited_by", by))
	}
	return attrs
}

// limitedBy states why less was done than the policy asks for, or "".
func limitedBy(e *ratchet.Event) string {
	d := e.Decision
	switch {
	case e.AppliedAction() < d.Action:
		return "recipient"
	case d.Action < d.Unlimited:
		return "breaker"
	case d.Unlimited < d.Configured():
		return "evidence"
	}
	return ""
}

// evidence is what a verdict rests on. What a row requires is the row's.
func evidence(d *ratchet.Decision) []slog.Attr {
	v, identity := &d.Verdict, d.Identity.String()
	if v.Required && d.Row() != "" {
		identity = "row:" + d.Row()
	}
	pin, _ := Compared(v)
	attrs := []slog.Attr{
		slog.String("identity", clean.Text(identity, maxName)),
		slog.String("pin", pin),
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
