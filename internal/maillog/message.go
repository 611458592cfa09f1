package maillog

import "bytes"

// kind is what a line of smtpd(8) is about.
type kind uint8

const (
	kindConnect kind = iota + 1
	kindTLS
	kindClient
	kindDisconnect
	kindFailure
	// kindGap: lines were dropped on this host.
	kindGap
	// kindBroken: a line of the process that cannot be read.
	kindBroken
	// kindDelivery: a line of smtp(8) or error(8).
	kindDelivery
)

// event is the content of a line. What it points to is lent until the next line of
// its source is read.
type event struct {
	record
	kind kind
	// Of a kindTLS: whether the client was trusted. Of a kindClient: whether it
	// was authenticated, and whether a filter gave the mail back.
	trusted, authenticated, returned bool
	// Of a kindDisconnect: whether there was a summary, and an XCLIENT in it.
	summary, xclient bool
	// count of a kindDisconnect is how many STARTTLS worked; of a kindGap how many
	// lines were lost since the logger started, or 0.
	count int32
	// client is "name[addr]".
	client []byte
	// text of a kindTLS is "TLSv1.3 with cipher … (256/256 bits)"; of a
	// kindClient the queue id.
	text []byte
}

var (
	serverName = []byte(" to ")
	clientIs   = []byte("client=")
	space      = []byte(" ")
	withCipher = []byte(" with cipher ")
	saslField  = []byte(", sasl_")
	origField  = []byte(", orig_")
)

// openings are how the messages of interest begin, but for those with a queue id.
var openings = []struct {
	text    []byte
	kind    kind
	trusted bool
}{
	{[]byte("connect from "), kindConnect, false},
	{[]byte("disconnect from "), kindDisconnect, false},
	{[]byte("SSL_accept error from "), kindFailure, false},
	{[]byte("Anonymous TLS connection established from "), kindTLS, false},
	{[]byte("Untrusted TLS connection established from "), kindTLS, false},
	{[]byte("Trusted TLS connection established from "), kindTLS, true},
	{[]byte("Verified TLS connection established from "), kindTLS, true},
	{[]byte("TLS connection established from "), kindTLS, false}, // before Postfix 2.5
}

// read reads the record's message, and counts it. It returns false for one of no
// interest.
func (e *event) read(stats *Stats) bool {
	*e = event{record: e.record}
	switch e.program {
	case damaged:
		stats.Smtpd++
		stats.Broken++
		return false
	case logger:
		e.kind = kindGap
		n, ok := lost(e.message)
		e.count = n
		return ok
	case sending:
		e.kind = kindDelivery
		return !bytes.HasSuffix(e.source, qmgrWord) || bytes.HasSuffix(e.message, removed)
	case smtpd:
		stats.Smtpd++
		if !e.smtpd() && !cutShort(e.message) {
			return false
		}
		if e.kind == kindBroken {
			stats.Broken++
		}
		return true
	}
	return false
}

// smtpd reads a message of smtpd(8). It returns false for one of no interest. A
// message that is known and cannot be read is a kindBroken.
func (e *event) smtpd() bool {
	msg := e.message
	e.kind = kindBroken
	if len(msg) == 0 {
		return true
	}
	for i := range openings {
		o := &openings[i]
		if msg[0] != o.text[0] || !bytes.HasPrefix(msg, o.text) {
			continue
		}
		ok, rest := true, msg[len(o.text):]
		e.kind, e.trusted = o.kind, o.trusted
		switch e.kind {
		case kindTLS:
			ok = e.encryption(rest)
		case kindDisconnect:
			ok = e.disconnect(rest)
		default:
			_, ok = e.from(rest)
		}
		if !ok {
			e.kind = kindBroken
		}
		return true
	}
	return e.queued(msg)
}

// cutShort reports whether a message ends in the middle of such a beginning, or
// has another line in its middle.
func cutShort(msg []byte) bool {
	for i := range openings {
		if bytes.HasPrefix(openings[i].text, msg) {
			return true
		}
	}
	return bytes.Contains(msg, smtpdTag)
}

// queued reads "4Q1: client=name[addr]"; it returns false for anything else.
func (e *event) queued(msg []byte) bool {
	id, rest, ok := queueID(msg)
	if !ok || !bytes.HasPrefix(rest, clientIs) {
		return false
	}
	e.kind, e.text = kindClient, id
	if rest, ok = e.from(rest[len(clientIs):]); !ok {
		e.kind = kindBroken
		return true
	}
	e.authenticated = bytes.HasPrefix(rest, saslField)
	// A login may hold anything, and comes before.
	e.returned = !e.authenticated && bytes.HasPrefix(rest, origField)
	return true
}

// longestID bounds a queue id: with enable_long_queue_ids about 20.
const longestID = 40

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// from reads "name[addr]", with the port that smtpd_client_port_logging adds,
// and returns what follows.
func (e *event) from(b []byte) (rest []byte, ok bool) {
	open := bytes.IndexByte(b[:min(len(b), longestName)], '[')
	if open <= 0 || bytes.IndexByte(b[:open], ' ') >= 0 {
		return nil, false
	}
	n := bytes.IndexByte(b[open:min(len(b), open+longestAddr)], ']')
	if n <= 1 {
		return nil, false
	}
	end := open + n + 1
	e.client, rest = b[:end], b[end:]
	if len(rest) > 0 && rest[0] == ':' {
		if _, n := number(rest[1:]); n > 0 {
			rest = rest[1+n:]
		}
	}
	return rest, true
}

const (
	longestName = 1024
	longestAddr = 64
)

// encryption reads "name[addr]: TLSv1.3 with cipher … (256/256 bits)". From
// Postfix 3.4 on " to NAME" follows the client if it asked for a name that we have
// a certificate for.
func (e *event) encryption(b []byte) bool {
	rest, ok := e.from(b)
	if bytes.HasPrefix(rest, serverName) {
		name := rest[len(serverName):]
		rest = name[max(0, bytes.IndexByte(name, ':')):]
	}
	if !ok || len(rest) < 2 || rest[0] != ':' || rest[1] != ' ' {
		return false
	}
	rest = rest[2:]
	end := bytes.IndexByte(rest, ')')
	if end < 0 {
		return false
	}
	e.text = rest[:end+1]
	return bytes.Contains(e.text, withCipher)
}

// disconnect reads "name[addr] ehlo=2 starttls=1 mail=1/2 commands=5/6". Before
// Postfix 3.0 there was no summary.
func (e *event) disconnect(b []byte) bool {
	rest, ok := e.from(b)
	if !ok || len(rest) == 0 {
		return ok
	}
	rest, more := bytes.CutPrefix(rest, space)
	for more {
		var field []byte
		field, rest, more = bytes.Cut(rest, space)
		name, count, ok := bytes.Cut(field, []byte("="))
		if !ok {
			return false
		}
		// XCLIENT that worked reads xclient=0/1: it begins the session anew.
		switch n, _ := number(count); string(name) {
		case "starttls":
			e.count = int32(min(n, 9999)) // the first number of "1/2": those that worked
		case "xclient":
			e.xclient = true
		case "commands":
			e.summary = true
		}
	}
	return e.summary // it comes last: without it the line was cut
}
