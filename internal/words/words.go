// Package words holds the texts for verdicts, pins, actions and the circuit
// breaker, so that log, reply, header, alert, page and commands use the same
// ones. [Reply] speaks to the sender (RFC 5321 section 4.2), [Header] to filters
// (RFC 5322), everything else to the operator. Texts of a peer's choice are
// cleaned here.
package words

import (
	"fmt"
	"strings"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// Lengths, in bytes, that texts may have.
const (
	maxName    = 255
	maxAddress = 320 // RFC 5321 section 4.5.3.1: 64 + 1 + 255
	maxWords   = 600
)

// Number writes 412345, of any type of whole numbers, as 412,345. It must not be
// negative.
func Number(n any) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Sentence makes a sentence of a message, which is not empty and begins with ASCII.
func Sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

// MaxLine is where [Wrap] breaks a word: a line of a mail has at most 998 characters
// (RFC 5322 section 2.1.1).
const MaxLine = 900

// Wrap breaks a line between words: into lines of so many characters, but for words that
// are longer.
func Wrap(line string, width int, end string) string {
	var b strings.Builder
	for len(line) > width {
		at := strings.LastIndexByte(line[:width+1], ' ')
		if at <= 0 {
			if at = strings.IndexByte(line, ' '); at < 0 || at > MaxLine {
				at = min(MaxLine, len(line)-1)
			}
		}
		b.WriteString(line[:at] + end)
		line = strings.TrimPrefix(line[at:], " ")
	}
	return b.String() + line
}

// Count returns a number with its noun, as in "1 day", "3,000 days", "2 addresses"
// or "2 identities".
func Count(n any, noun string) string {
	number := Number(n)
	if number == "1" {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok && noun != "day" {
		noun = stem + "ie"
	} else if strings.HasSuffix(noun, "s") {
		noun += "e"
	}
	return number + " " + noun + "s"
}

// Encrypted returns how many messages, counted by level, were encrypted, and how
// many there are.
func Encrypted(levels [tlsstate.TLS13 + 1]uint64) (encrypted, all uint64) {
	for _, n := range levels {
		all += n
	}
	return all - levels[tlsstate.Plaintext], all
}

var kinds = [...]string{
	tlsstate.NoDowngrade: "as expected", tlsstate.Stripped: "without TLS", tlsstate.Weakened: "with weaker TLS than expected",
	tlsstate.Unauthenticated: "without its client certificate",
}

// Kind states what a peer did to make a downgrade of that kind.
func Kind(peer tlsstate.Kind, k tlsstate.Downgrade) string { return verb(peer) + kinds[k] }

// verb is what a peer of a kind does: mail comes from it, or is sent to it.
func verb(peer tlsstate.Kind) string {
	if peer == tlsstate.Destination {
		return "answered "
	}
	return "came "
}

// Outcome is that of a decision which is no downgrade, with the reason where there is
// one.
func Outcome(d *ratchet.Decision) string {
	if d.Reason != nil {
		return d.Outcome.String() + ": " + d.Reason.Error()
	}
	return d.Outcome.String()
}

// Expected states what the identity of a downgrade is held to.
func Expected(v *tlsstate.Verdict) string {
	switch {
	case v.Kind == tlsstate.Unauthenticated && v.Required:
		return "a client certificate of the configuration"
	case v.Kind == tlsstate.Unauthenticated:
		return "its client certificate"
	case v.Required:
		return v.Pin.String() + " or better, by the configuration"
	}
	return v.Pin.String() + " or better"
}

// Verdict states in one sentence what an operator can act on: which identity,
// what came, which pin, on how many days, when last.
func Verdict(v *tlsstate.Verdict) string {
	text, level := fmt.Sprintf("%s %s%s", v.Identity, verb(v.Identity.Kind), came(v)), v.Pin.String()
	needs, used := level, "used "+level+" or better"
	if v.Kind == tlsstate.Unauthenticated {
		needs, used = "one of its fingerprints", "showed it"
	}
	switch {
	case v.Required:
		text += "; a row of the configuration requires " + needs
	case v.Kind == tlsstate.Unauthenticated, v.Pin > tlsstate.Plaintext:
		text += fmt.Sprintf("; it %s %s, pinned since %s", used, On(v.Days, v.Last), v.Since)
	}
	return clean.Text(text+state(v)+support(v), maxWords)
}

// supports are why a domain's pin counts against an address without one.
var supports = map[tlsstate.Support]string{
	tlsstate.SupportItself:    "; the address itself used TLS before",
	tlsstate.SupportHostName:  "; a host of the same name used TLS",
	tlsstate.SupportSPF:       "; the domain's SPF record names its hosts",
	tlsstate.SupportNetwork:   "; its hosts in the same network use TLS",
	tlsstate.SupportAddresses: "; nearly all of its many addresses use TLS",
}

func support(v *tlsstate.Verdict) string {
	if v.Recalled {
		return "; DNS confirmed no name: the domain is the last one known of the address or its network" + supports[v.Support]
	}
	return supports[v.Support]
}

// On states on how many days of the window a pin was met, and when last. A pin may
// be older than the window.
func On(days int, last tlsstate.Day) string {
	if days == 0 {
		return fmt.Sprintf("until %s", last)
	}
	return fmt.Sprintf("on %d of the last %d days, last on %s", days, tlsstate.Window, last)
}

func came(v *tlsstate.Verdict) string {
	switch {
	case v.Outcome == tlsstate.Unknown:
		return "with an unknown TLS state"
	case v.Kind == tlsstate.Unauthenticated:
		return fmt.Sprintf("with %s but without its client certificate", v.Seen.Words())
	case v.Seen.Level == tlsstate.Plaintext && v.Seen.Protocol != "":
		return fmt.Sprintf("in clear: %s encrypts nothing", v.Seen.Cipher)
	case v.Seen.Level == tlsstate.Plaintext:
		return "in clear"
	}
	return "with " + protocol(&v.Seen)
}

// protocol names what an encrypted session used.
func protocol(s *tlsstate.Security) string {
	if s.Level == tlsstate.Weak && s.Protocol == "TLSv1.2" {
		return "TLSv1.2 without forward secrecy"
	}
	return clean.Text(s.Words(), 20)
}

func state(v *tlsstate.Verdict) string {
	switch v.State {
	case tlsstate.PinLapsed:
		return "; the pin has lapsed"
	case tlsstate.PinContested:
		return "; the pin is contested by a session below it before it formed"
	case tlsstate.PinReleased:
		return fmt.Sprintf("; the pin no longer holds: below it on %s since it was last met, or on each of the last five", Count(v.Below, "day"))
	case tlsstate.PinRelaxed:
		return "; the pin does not hold: the peer is only partly encrypted"
	}
	return ""
}
