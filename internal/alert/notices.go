package alert

import (
	"slices"
	"strings"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
)

// BreakerNotice is the notice of a breaker's new state. cause is the self-check's
// error, "" if it found none or is off.
func BreakerNotice(s ratchet.BreakerState, cause string) Message {
	n := Message{Key: "breaker", Severity: Critical, At: s.Since, Next: []string{"tlsratchet breaker"}}
	switch s.Answer {
	case ratchet.Suspended:
		n.Title = "STARTTLS of this server seems broken; enforcement is suspended"
		if cause == "" {
			cause = "Many pinned peers came without TLS at once. No encrypted session came since"
		} else {
			cause = "Self-check: " + cause
		}
		n.Text = cause + ".\n" +
			"Check Postfix's certificate and key, and its log. Until encrypted mail comes again, downgrades get a header at most. The configuration's peer rows still apply."
		n.Next = append(n.Next, "postconf -n smtpd_tls_security_level smtpd_tls_chain_files smtpd_tls_cert_file")
	case ratchet.Softened:
		n.Title = "many pinned peers came without TLS at once; somebody may strip STARTTLS near this server"
		n.Text = "STARTTLS of this server works, as far as is known.\n" +
			"Check what is between this server and the Internet: a firewall that inspects SMTP has the same effect. Until it is over, tempfail is used in place of reject, so that no mail is lost. The configuration's peer rows still apply."
	default:
		n.Status = StatusClosed
		n.Title, n.Text = "circuit breaker armed again", words.Sentence(words.Answer(ratchet.Armed))
	}
	if n.Status != StatusClosed {
		longest := slices.MaxFunc([][]ratchet.BreakerName{s.Recent, s.Silent, s.Delayed}, func(a, b []ratchet.BreakerName) int { return len(a) - len(b) })
		n.Text += someOf(longest, func(n ratchet.BreakerName) string { return n.Name })
	}
	return n
}

// someOf is the line that names some of those that a notice is about; "" for none.
func someOf[T any](list []T, name func(T) string) string {
	if len(list) == 0 {
		return ""
	}
	var all []string
	for _, v := range list[:min(len(list), few)] {
		all = append(all, clean.Name(name(v)))
	}
	return "\nSome of them: " + strings.Join(all, ", ") + "."
}

// OutageNotice is the notice that many destinations began to fail at once, at a
// time, and which they are; the zero time states that it is over.
func OutageNotice(since time.Time, failing []string, now time.Time) Message {
	n := Message{Key: "outbound-outage", Severity: Critical, At: now, Next: []string{"tlsratchet outbound"}}
	if since.IsZero() {
		n.Status = StatusClosed
		n.Title, n.Text = "destinations are reached over TLS again", "What waited is sent as Postfix tries it again."
		return n
	}
	n.Title = "many destinations are no longer reached over TLS; somebody may strip STARTTLS near this server"
	n.Text = "With outbound.action = hold their mail waits in Postfix's queue, unless outbound.on_outage is release. Mail to a destination is sent when that destination has failed on outbound.release_after_days days; for all others the days of the outage do not count. Rows of send in the configuration hold in any case.\n" +
		"Check what is between this server and the Internet: a firewall that inspects SMTP has the same effect."
	n.Text += someOf(failing, func(name string) string { return name })
	n.Next = append(n.Next, "tlsratchet outbound --set release --why 'REASON'", "postqueue -f")
	return n
}

// Matter is the newest notice of a key whose end was not reported.
type Matter struct {
	Message *Message `json:"message"`
	// Worst is the highest severity that was reported since it opened: whoever
	// got that gets the end too.
	Worst Severity `json:"worst"`
}

// isNews reports whether a notice is to be sent, and records it. The caller holds
// the lock.
func (a *Alerts) isNews(m *Message) bool {
	last, open := a.matters[m.Key]
	switch {
	case !open && m.Status == StatusClosed:
		return false
	case m.Status == StatusClosed:
		m.Severity = last.Worst
		delete(a.matters, m.Key)
		return true
	case open && last.Message.Title == m.Title && last.Message.Severity == m.Severity && m.At.Sub(last.Message.At).Abs() < sameAfter:
		return false
	}
	if open || len(a.matters) < maxNotices {
		a.matters[m.Key] = Matter{m, max(m.Severity, last.Worst)}
	}
	return true
}
