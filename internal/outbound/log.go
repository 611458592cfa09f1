package outbound

import (
	"log/slog"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/maillog"
	"tlsratchet/tlsstate"
)

// log writes a line for what somebody should read. The line of a held delivery
// explains it: the destination, what failed, and what the pin stands on.
func (b *Outbound) log(d *maillog.Delivery, v *tlsstate.Verdict) {
	switch {
	case v.Outcome == tlsstate.Downgraded && d.Status != maillog.Sent:
		b.o.Log.Warn("mail held", b.attrs(d, v)...)
	case v.Outcome == tlsstate.Downgraded && v.Kind == tlsstate.Weakened:
		b.o.Log.Warn("mail sent with weaker TLS", b.attrs(d, v)...)
	case v.Outcome == tlsstate.Downgraded:
		b.o.Log.Warn("mail sent in clear", b.attrs(d, v)...)
	case v.Pinned():
		b.o.Log.Info("destination pinned", b.attrs(d, v)...)
	case v.State == tlsstate.PinReleased && d.Status == maillog.Sent:
		b.o.Log.Warn("mail sent in clear: pin released", b.attrs(d, v)...)
	}
}

func (b *Outbound) attrs(d *maillog.Delivery, v *tlsstate.Verdict) []any {
	s := b.settings.Load()
	attrs := []any{
		slog.String("destination", v.Identity.Name),
		slog.String("host", clean.Text(d.Host, 255)),
		slog.String("queue_id", clean.Text(d.QueueID, 64)),
	}
	if v.Outcome == tlsstate.Downgraded {
		attrs = append(attrs, slog.String("reason", reasonOf(d)), slog.String("action", word(v.Action)))
		if v.Action < tlsstate.Tempfail || !s.Permission.Allowed {
			attrs = append(attrs, slog.Bool("hold_would_defer", s.wouldHold(v)))
		}
		rule := s.Rules.For(noAddr, v.Identity.Name)
		if day := releaseOf(d.At, v, rule.ReleaseAfterDays); day != "" {
			attrs = append(attrs, slog.String("release", day))
		}
	}
	return append(attrs,
		slog.String("seen", clean.Text(v.Seen.Words(), 64)), slog.String("pin", v.Pin.String()), slog.Bool("required", v.Required),
		slog.String("since", v.Since.String()), slog.String("last", v.Last.String()), slog.Int("days", v.Days), slog.Int("below", v.Below))
}

// word returns the action as the sending side names it.
func word(a tlsstate.Action) string {
	if a >= tlsstate.Tempfail {
		return "hold"
	}
	return "observe"
}
