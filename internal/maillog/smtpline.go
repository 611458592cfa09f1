package maillog

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"tlsratchet/tlsstate"
)

// The lines of smtp(8), as Postfix 3.4 to 3.12 write them.
var (
	establishedTo = []byte("TLS connection established to ")
	reusedTo      = []byte("TLS connection reused to ")
	offeredBy     = []byte("Host offered STARTTLS: [")
	connectError  = []byte("SSL_connect error to ")
	toField       = []byte("to=<")
	recipient     = []byte(": to=<")
	origToField   = []byte("orig_to=<")
	relayField    = []byte("relay=")
	addressEnd    = []byte(">, relay=")
	required      = []byte("TLS is required, but ")
	byHost        = []byte("host ")
	cannotStart   = []byte("Cannot start TLS: ")
	lostWith      = []byte("lost connection with ")
	timedOut      = []byte("conversation with ") // "… timed out while …"
	inReplyToRCPT = []byte("(in reply to RCPT TO command)")
	suspension    = []byte("delivery temporarily suspended: ")
)

// tlsLine reads "Trusted TLS connection established to H[A]:P: TLSv1.3 with
// cipher X (256/256 bits) …". whole is false for such a line that was cut, or has
// another one in its middle.
func tlsLine(msg []byte) (relay string, security tlsstate.Security, ok, whole bool) {
	_, rest, _ := bytes.Cut(msg, space)
	begin := establishedTo
	if !startsWith(rest, begin) {
		begin = reusedTo
	}
	if !startsWith(rest, begin) {
		return "", security, false, false
	}
	relay, what, _ := relayAfter(rest, begin)
	security = securityOf(string(what))
	return relay, security, true, security.Cipher != "" && !strings.Contains(security.Protocol, " ")
}

// startsWith reports whether a message begins with a text, or ends within it.
func startsWith(msg, text []byte) bool {
	return len(msg) > 0 && bytes.HasPrefix(msg, text[:min(len(msg), len(text))])
}

// relayAfter reads "H[A]:P: REST" behind a text, without what newer versions write
// behind "H[A]:P".
func relayAfter(msg, text []byte) (relay string, rest []byte, ok bool) {
	if msg, ok = bytes.CutPrefix(msg, text); !ok {
		return "", nil, false
	}
	to, rest, ok := bytes.Cut(msg, []byte(": "))
	to, _, _ = bytes.Cut(to, space)
	return string(to), rest, ok
}

// queueID cuts "4Q1: " off.
func queueID(msg []byte) (id, rest []byte, ok bool) {
	n := 0
	for n < len(msg) && n < longestID && alphanumeric(msg[n]) {
		n++
	}
	if n == 0 || !bytes.HasPrefix(msg[n:], []byte(": ")) {
		return nil, nil, false
	}
	return msg[:n], msg[n+2:], true
}

// status is a recipient's line: the delivery, but for what other lines state.
type status struct {
	Delivery
	relay string // "H[A]:P", "" for none
	tls   string // the field of Postfix 3.11 and later
	// connect has the delays that all recipients of one session share, in the queue and
	// for connecting, as they are written.
	connect string
	// waited is true of a message that Postfix sends in clear at level "may" where the
	// connection ends within TLS, ended if the text states that one ended.
	waited, ended bool
}

// statusLine reads "4Q1: to=<a@b>, orig_to=<c@d>, relay=H[A]:P, conn_use=2,
// delay=1, delays=0/0/0/0, tls=may, dsn=2.0.0, status=sent (…)". Strangers choose
// the addresses, and what is in parentheses: it is read from the left. whole is false
// for such a line that was cut, or has another one in its middle.
func statusLine(msg []byte) (s status, is, whole bool) {
	id, rest, ok := queueID(msg)
	if !ok || !bytes.HasPrefix(rest, toField) {
		return s, false, false
	}
	domain, fields, ok := address(rest[len(toField):])
	if ok && bytes.HasPrefix(fields, origToField) {
		_, fields, ok = address(fields[len(origToField):])
	}
	if !ok || !bytes.HasPrefix(fields, relayField) {
		return s, true, false
	}
	// Where syslog cuts a line, at 1,024 bytes or later, the end of the address may be
	// behind that.
	s.QueueID, s.Domain, s.Doubtful = string(id), domain, len(msg) > 900 || bytes.Contains(fields, addressEnd)
	for all := fields; len(fields) > 0; {
		name, rest, _ := bytes.Cut(fields, []byte("="))
		var value []byte
		value, fields, _ = bytes.Cut(rest, []byte(", "))
		switch string(name) {
		case "relay":
			if string(value) != "none" {
				s.relay = string(value)
				s.Host, s.Addr, _ = strings.Cut(s.relay, "[")
				s.Addr, _, _ = strings.Cut(s.Addr, "]")
			}
		case "conn_use":
			s.Reused = true
		case "delays":
			s.delays(string(value))
		case "tls":
			s.tls = string(value)
		case "status":
			word, text, ok := bytes.Cut(rest, space)
			s.Status = statuses[string(word)]
			s.refused(text)
			return s, true, ok && !bytes.Contains(all[:len(all)-len(rest)], recipient)
		}
	}
	return s, true, false
}

// address cuts an address, its bracket and a comma off. Only a quoted local part
// holds a bracket (RFC 5321, 4.1.2; Postfix before 3.5 logs it without quotes): in
// any other address the begin of a recipient is that of another line.
func address(b []byte) (domain string, rest []byte, ok bool) {
	n := 0
	if len(b) > 0 && b[0] == '"' {
		for n = 1; n < len(b) && b[n] != '"'; n++ {
			if b[n] == '\\' {
				n++
			}
		}
	}
	local := b[min(n, len(b)):]
	end := bytes.IndexByte(local, '>')
	if end < 0 || bytes.Contains(local[:end], recipient) {
		return "", nil, false
	}
	rest, ok = bytes.CutPrefix(local[end:], []byte(">, "))
	return string(local[bytes.LastIndexByte(local[:end], '@')+1 : end]), rest, ok
}

// delays reads "before/queue/connect/send".
func (s *status) delays(text string) {
	for i, n := range strings.Split(text, "/") {
		seconds, err := strconv.ParseFloat(n, 64)
		if err == nil && i >= 2 && seconds < 1e6 {
			s.Took += time.Duration(seconds * float64(time.Second))
		}
		s.waited = s.waited || i == 0 && seconds >= 300 // minimal_backoff_time by default
		if i == 1 || i == 2 {
			s.connect += n + "/"
		}
	}
}

var statuses = map[string]Status{"sent": Sent, "deferred": Deferred, "bounced": Bounced}

// tlsField reads the tls= of Postfix 3.11: the level, and how it ended. Behind a slash is
// REQUIRETLS (RFC 8689), where a sender asked for it.
func (s *status) tlsField() TLSUse {
	switch level, _, _ := strings.Cut(s.tls, "/"); {
	case strings.HasSuffix(level, ":none"), level == "none":
		return Clear
	case level == "", strings.ContainsAny(level, "?!"):
		return TLSUnknown
	}
	return Encrypted
}

// refused reads Postfix's own text: what a server replied stands behind its name.
func (s *status) refused(text []byte) {
	reason := bytes.TrimPrefix(text, []byte("("))
	reason, s.Suspended = bytes.CutPrefix(reason, suspension)
	switch {
	case s.Status == Sent:
	case bytes.HasPrefix(reason, required):
		s.Refusal = NotOffered
	case bytes.HasPrefix(reason, cannotStart):
		s.Refusal = Handshake
	default:
		s.ended = ended(reason)
	}
}

// hostOf returns H of the first "H[A]".
func hostOf(text string) string {
	before, _, ok := strings.Cut(text, "[")
	if !ok {
		return ""
	}
	return before[strings.LastIndexByte(before, ' ')+1:]
}
