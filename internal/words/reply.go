package words

import (
	"fmt"
	"strings"

	"tlsratchet/internal/clean"
	"tlsratchet/tlsstate"
)

// Reply returns the SMTP reply for a downgrade that is refused: 550 for reject,
// else 451; the enhanced code (RFC 3463: delivery not authorised, as Postfix's
// own reject_plaintext_session); what was expected and why. contact is a URL or
// address from the configuration, or "".
func Reply(v *tlsstate.Verdict, a tlsstate.Action, contact string) string {
	code := "451 4.7.1"
	if a == tlsstate.Reject {
		code = "550 5.7.1"
	}
	text := fmt.Sprintf("%s %s: %s", code, clean.Text(v.Identity.Name, 100), required(v))
	if contact != "" {
		text += "; see " + clean.Text(contact, 200)
	}
	return text
}

func required(v *tlsstate.Verdict) string {
	switch {
	case v.Kind == tlsstate.Unauthenticated && v.Required:
		return "your client certificate required by the recipient's policy; this session has none or another one"
	case v.Kind == tlsstate.Unauthenticated:
		return fmt.Sprintf("client certificate required: you showed it %s; this session has none or another one", On(v.Days, v.Last))
	}
	came, level := "this session is not encrypted", "TLS"
	if v.Seen.Level > tlsstate.Plaintext {
		came, level = "this session uses "+protocol(&v.Seen), v.Pin.String()+" or better"
	}
	if v.Required && v.Pin == tlsstate.Weak {
		return "TLS required by the recipient's policy; " + came
	}
	if v.Required {
		return fmt.Sprintf("%s or better required by the recipient's policy; %s", v.Pin, came)
	}
	return fmt.Sprintf("%s required: you used it %s; %s", level, On(v.Days, v.Last), came)
}

// Apart is the reply that makes a sender of bounces send exempt and other
// recipients in two transactions (RFC 5321 section 4.5.3.1.10): the end of a
// message has one reply for all of its recipients.
const Apart = "452 4.5.3 Send this recipient in a transaction of its own"

// Quarantine returns the reason for which a message is put on hold. Postfix
// logs about 100 bytes of it (3.10 and later), so the essentials come first.
func Quarantine(v *tlsstate.Verdict) string {
	pin, _ := Compared(v)
	text := fmt.Sprintf("%s: %s, seen %s, expected %s", v.Kind, v.Identity.Name, v.Seen.Words(), pin)
	switch {
	case v.Since > 0 && v.Days > 0:
		text += fmt.Sprintf("; met on %d/%d days, last on %s", v.Days, tlsstate.Window, v.Last)
	case v.Since > 0:
		text += fmt.Sprintf("; met until %s", v.Last)
	}
	return clean.Text(text, 300)
}

// Compared spells what a downgrade is below, and what came of that, for machines.
func Compared(v *tlsstate.Verdict) (pin, came string) {
	if v.Kind == tlsstate.Unauthenticated {
		return "certificate", "none"
	}
	return v.Pin.String(), v.Seen.Words()
}

// HeaderName is the name of the header that marks a message.
const HeaderName = "X-TLS-Ratchet"

// lineLimit is how long a line of the folded header may get (RFC 5322 section
// 2.1.1 recommends 78).
const lineLimit = 78

// Header returns the value of the header, folded. more is how many copies of
// the header came with the message and could not be removed.
func Header(v *tlsstate.Verdict, more int) string {
	fields := headerFields(v, more)
	text, line := fields[0], len(HeaderName)+len(": ")+len(fields[0])
	for _, field := range fields[1:] {
		between := "; "
		if line += len(between) + len(field); line+len(";") > lineLimit {
			between, line = ";\n\t", 8+len(field)
		}
		text += between + field
	}
	return text
}

func headerFields(v *tlsstate.Verdict, more int) []string {
	fields := []string{v.Outcome.String()}
	add := func(key, value string) { fields = append(fields, key+"="+quote(value)) }
	if v.Outcome == tlsstate.Downgraded {
		add("kind", v.Kind.String())
	}
	if !v.Identity.IsZero() {
		add("identity", v.Identity.String())
	}
	switch pin, _ := Compared(v); {
	case v.Required:
		add("required", pin)
	case v.Kind == tlsstate.Unauthenticated, v.Pin > tlsstate.Plaintext:
		add("pin", pin)
	}
	if v.Outcome != tlsstate.Unknown || v.Seen.Level > tlsstate.Plaintext {
		add("seen", v.Seen.Words())
	}
	if v.Since > 0 {
		add("since", v.Since.String())
		if v.Days == 0 { // the pin is older than the window
			add("last", v.Last.String())
		} else {
			add("days", fmt.Sprintf("%d/%d", v.Days, tlsstate.Window))
		}
	}
	if v.State > tlsstate.PinHolds {
		add("state", v.State.String())
	}
	if more > 0 {
		add("forged", fmt.Sprint(more))
	}
	return fields
}

// quote makes a value a token, or a quoted string (RFC 5322 section 3.2.4)
// where it holds more than a token may.
func quote(s string) string {
	s = clean.Text(s, 300)
	if s != "" && !strings.ContainsAny(s, ` "\;,()<>@=`) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
