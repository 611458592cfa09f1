package alert

import (
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
	if names := breakerNames(s); names != "" && n.Status != StatusClosed {
		n.Text += "\nSome of them: " + names + "."
	}
	return n
}

// breakerNames lists some of those that downgraded.
func breakerNames(s ratchet.BreakerState) string {
	list := s.Recent
	for _, other := range [][]ratchet.BreakerName{s.Silent, s.Delayed} {
		if len(other) > len(list) {
			list = other
		}
	}
	return joined(list[:min(len(list), few)], func(n ratchet.BreakerName) string { return clean.Name(n.Name) })
}
