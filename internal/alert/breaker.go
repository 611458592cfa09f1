package alert

import (
	"strings"

	"tlsratchet/internal/ratchet"
)

// BreakerNotice is the notice of a breaker's new state. cause is what the
// self-check found wrong with our own STARTTLS, "" if it found nothing or is
// off.
func BreakerNotice(s ratchet.BreakerState, cause string) Notice {
	n := Notice{Key: "breaker", Severity: Critical, At: s.Since, Next: []string{"tlsratchet breaker"}}
	switch s.Answer {
	case ratchet.Suspended:
		n.Title = "our own STARTTLS seems broken: enforcement is suspended"
		if cause == "" {
			cause = "Nothing encrypted came since"
		} else {
			cause = "The self-check says: " + cause
		}
		n.Text = "Many pinned peers came without TLS at once. " + cause + ".\n" +
			"Look at Postfix's certificate and key, and at its log. Downgrades get a header at most until encrypted mail comes again; your peer rows still hold."
		n.Next = append(n.Next, "postconf -n smtpd_tls_security_level smtpd_tls_chain_files smtpd_tls_cert_file")
	case ratchet.Softened:
		n.Title = "many pinned peers come without TLS at once: somebody may strip it close to us"
		n.Text = "Our own STARTTLS works, as far as is known.\n" +
			"Look at what is between us and the Internet: a firewall that inspects SMTP does this too. Until it is over, reject is tempfail, so that nothing is lost; your peer rows still hold."
	default:
		n.Resolved = true
		n.Title, n.Text = "the breaker is armed again: enforcement is back", "No more than the usual few downgrade now."
	}
	if names := breakerNames(s); names != "" && !n.Resolved {
		n.Text += "\nAmong them: " + names + "."
	}
	return n
}

// breakerNames lists a few of those that downgraded.
func breakerNames(s ratchet.BreakerState) string {
	list := s.Recent
	for _, other := range [][]ratchet.BreakerName{s.Silent, s.Delayed} {
		if len(other) > len(list) {
			list = other
		}
	}
	var all []string
	for _, n := range list[:min(len(list), few)] {
		all = append(all, name(n.Name))
	}
	return strings.Join(all, ", ")
}
