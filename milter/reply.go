package milter

import (
	"fmt"
	"strings"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// HeaderName is the name of the header that we add.
const HeaderName = "X-TLS-Ratchet"

// lineLimit is how long a line of the folded header may get (RFC 5322 section
// 2.1.1 recommends 78).
const lineLimit = 78

// headerValue returns the header's value, folded, of clean characters only.
func headerValue(d *ratchet.Decision) string {
	var b strings.Builder
	line := len(HeaderName) + 2
	for i, field := range headerFields(d) {
		if i > 0 {
			b.WriteByte(';')
			if line += 2; line+len(field)+1 > lineLimit { // +1 for the next semicolon
				b.WriteString("\n\t")
				line = 8
			} else {
				b.WriteByte(' ')
			}
		}
		b.WriteString(field)
		line += len(field)
	}
	return b.String()
}

func headerFields(d *ratchet.Decision) []string {
	v := &d.Verdict
	fields := []string{v.Outcome.String()}
	add := func(key, value string) { fields = append(fields, key+"="+quote(value)) }
	if v.Outcome == tlsstate.Downgraded {
		add("kind", v.Kind.String())
	}
	if !v.Identity.IsZero() {
		add("identity", v.Identity.String())
	}
	switch {
	case v.Required:
		add("required", v.Pin.String())
	case v.Kind == tlsstate.Unauthenticated:
		add("pin", "certificate")
	case v.Pin > tlsstate.Plaintext:
		add("pin", v.Pin.String())
	}
	if v.Outcome != tlsstate.Unknown || v.Seen.Level > tlsstate.Plaintext {
		add("seen", v.Seen.Words())
	}
	if v.Since > 0 {
		add("since", v.Since.String())
		add("days", fmt.Sprintf("%d/%d", v.Days, tlsstate.Window))
	}
	if v.State > tlsstate.PinHolds {
		add("state", v.State.String())
	}
	return fields
}

// quote makes a value a token, or a quoted string (RFC 5322 section 3.2.4)
// where it holds more than a token may.
func quote(s string) string {
	s = clean.Text(s, maxValue)
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return strings.ContainsRune(` "\;,()<>@=`, r) }) < 0 {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

const maxValue = 300

// refusal returns the reply text of a tempfail or reject, for a 'y' packet:
// the code, the enhanced code (RFC 3463: delivery not authorised, as Postfix's
// own reject_plaintext_session) and what was expected. % is doubled, as the
// MTA takes the text for a format.
func refusal(d *ratchet.Decision, a tlsstate.Action, contact string) string {
	code := "451 4.7.1"
	if a == tlsstate.Reject {
		code = "550 5.7.1"
	}
	text := fmt.Sprintf("%s %s: %s", code, clean.Text(d.Identity.Name, 100), expected(&d.Verdict))
	if contact != "" {
		text += "; see " + clean.Text(contact, 200)
	}
	return strings.ReplaceAll(text, "%", "%%")
}

func expected(v *tlsstate.Verdict) string {
	if v.Kind == tlsstate.Unauthenticated {
		return "a trusted client certificate is expected of you, as before; none was shown"
	}
	came := "this session is not encrypted"
	if v.Seen.Level > tlsstate.Plaintext {
		came = "this session uses " + clean.Text(v.Seen.Words(), 20)
		if v.Seen.Protocol == "TLSv1.2" {
			came += " without forward secrecy"
		}
	}
	if v.Required {
		return fmt.Sprintf("Session encryption is required (%s or better); %s", v.Pin, came)
	}
	return fmt.Sprintf("Session encryption is expected of you (%s or better), as on %s before, last on %s; %s",
		v.Pin, daysWord(v.Days), v.Last, came)
}

func daysWord(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}
