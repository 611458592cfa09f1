package alert

import (
	"slices"
	"strings"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
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
		n.Title, n.Text = "circuit breaker armed again; enforcement resumed", "Few peers downgrade now."
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
