package policyservice

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/milter/wire"
)

// Limits of a request, in bytes and lines. Postfix sends some 40 attributes, of
// 2,048 bytes at most.
const (
	maxLine       = 4 << 10
	maxRequest    = 32 << 10
	maxAttributes = 200
	// maxKept is how long a request may be to be remembered. Postfix's have some 800
	// bytes.
	maxKept = 2 << 10
)

// errRefused ends a connection for what came on it.
var errRefused = fmt.Errorf("%w: not a policy request", wire.ErrRefused)

// The attributes that are of use (SMTPD_POLICY_README). Their texts are as Postfix
// sent them, not clean.
const (
	kind     = iota // smtpd_access_policy
	state           // where in the SMTP dialogue it is asked: RCPT, END-OF-MESSAGE and others
	instance        // names the message: it is the same for all of its recipients
	sender
	recipient
	queueID
	clientAddress
	clientName // "unknown" unless confirmed forward and back
	clientPort
	serverAddress
	serverPort
	protocol
	cipher
	keySize
	saslMethod
	saslUser
	subject
	issuer
	fingerprint
	keyFingerprint
	attributes // how many they are
)

// request is one question, by attribute.
type request struct {
	text [attributes]string
	// stated has a bit for each attribute that came, with a text or without.
	stated uint32
	// moved: an attribute of the session, from clientAddress on, is another than when
	// this was last unset.
	moved bool

	// lines are those that it came in. Most of those of the next one are the same, and
	// need not be understood again, unless one attribute came twice or they are long.
	lines []byte
	apart bool // the next request has nothing of this one
}

// read reads a request: lines of name=value, and an empty one. It returns io.EOF
// where the client left between two requests, or an error that wraps [errRefused].
func (r *request) read(in *bufio.Reader) error {
	if r.apart {
		*r = request{moved: true}
	}
	at := 0 // how much of lines is this request's
	for n := 0; ; n++ {
		same := r.same(in, at)
		at += len(same)
		n += bytes.Count(same, []byte{'\n'})
		line, err := in.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				err = fmt.Errorf("%w: a line of more than %d bytes", errRefused, maxLine)
			}
			return err
		}
		if len(line) == 1 && n > 0 {
			if r.forget(at); at > maxKept {
				r.lines, r.apart = nil, true
			}
			return nil
		}
		name, value, found := bytes.Cut(line[:len(line)-1], []byte{'='})
		if size := at + len(line) - n - 1; !found || len(name) == 0 || size > maxRequest || n >= maxAttributes {
			return fmt.Errorf("%w: line %d, %d bytes so far", errRefused, n+1, size)
		}
		r.replace(at, line, name, value)
		at += len(line)
	}
}

// same takes the lines that are here and were in the request before at this place, and
// returns them.
func (r *request) same(in *bufio.Reader, at int) []byte {
	here, _ := in.Peek(min(in.Buffered(), maxRequest-at)) // more is for read to refuse
	here = here[:common(here, r.lines[at:])]
	here = here[:bytes.LastIndexByte(here, '\n')+1]
	_, _ = in.Discard(len(here))
	return here
}

// common returns how many bytes two texts have in common at their beginning.
func common(a, b []byte) int {
	const step = 32 // at once
	at, n := 0, min(len(a), len(b))
	for at+step <= n && bytes.Equal(a[at:at+step], b[at:at+step]) {
		at += step
	}
	for at < n && a[at] == b[at] {
		at++
	}
	return at
}

// replace puts a line in the place of the one that was there in the request before.
// Where that was of another attribute, the rest of that request says nothing of this
// one.
func (r *request) replace(at int, line, name, value []byte) {
	old := 0
	if bytes.HasPrefix(r.lines[at:], line[:len(name)+1]) {
		old = bytes.IndexByte(r.lines[at:], '\n') + 1
	} else {
		r.forget(at)
	}
	r.lines = slices.Replace(r.lines, at, at+old, line...)
	if a, known := byName[string(name)]; known {
		r.apart = r.apart || old == 0 && r.has(a)
		r.set(a, string(value))
		r.stated |= 1 << a
	}
}

// forget drops what the lines from there on stated.
func (r *request) forget(at int) {
	for line := range bytes.Lines(r.lines[at:]) {
		name, _, _ := bytes.Cut(line, []byte{'='})
		if a, known := byName[string(name)]; known {
			r.set(a, "")
			r.stated &^= 1 << a
		}
	}
	r.lines = r.lines[:at]
}

func (r *request) set(a int, text string) {
	r.text[a] = text
	r.moved = r.moved || a >= clientAddress
}

// has reports whether an attribute came.
func (r *request) has(a int) bool { return r.stated>>a&1 == 1 }

// byName are the attributes by their names. Others are ignored, as the protocol
// wants it.
var byName = map[string]int{
	"request": kind, "protocol_state": state, "instance": instance, "sender": sender, "recipient": recipient, "queue_id": queueID,
	"client_address": clientAddress, "client_name": clientName, "client_port": clientPort,
	"server_address": serverAddress, "server_port": serverPort,
	"encryption_protocol": protocol, "encryption_cipher": cipher, "encryption_keysize": keySize,
	"sasl_method": saslMethod, "sasl_username": saslUser, "ccert_subject": subject, "ccert_issuer": issuer,
	"ccert_fingerprint": fingerprint, "ccert_pubkey_fingerprint": keyFingerprint,
}

// facts are what the request states of the session.
func (r *request) facts() ratchet.Facts {
	t := &r.text
	return ratchet.Facts{
		Client:  peer.Client{Addr: t[clientAddress], Name: t[clientName], Resolve: "OK", DaemonAddr: t[serverAddress], DaemonPort: t[serverPort]},
		Version: t[protocol], Cipher: t[cipher], Bits: t[keySize], Subject: unxtext(t[subject]), Issuer: unxtext(t[issuer]),
		Fingerprints: ratchet.Fingerprints{Known: r.has(fingerprint) || r.has(keyFingerprint), Certificate: t[fingerprint], Key: t[keyFingerprint]},
		AuthType:     t[saslMethod], AuthUser: t[saslUser],
	}
}

// address returns an attribute that is an address as a client writes it (RFC 5321
// section 4.1.2): Postfix states it without the quotes of its local part.
func (r *request) address(a int) string {
	text := r.text[a]
	local, _ := inbound.Cut(text)
	if text == "" || local != "" && !strings.ContainsAny(local, "()<>[]:;@\\,\" \t") {
		return text
	}
	return strconv.Quote(local) + text[len(local):]
}

var percented = strings.NewReplacer("%", "%25", "+", "%")

// unxtext decodes a certificate's name, which Postfix sends as xtext (RFC 3461
// section 4), so that it is the text that a milter gets. What is none stays.
func unxtext(s string) string {
	if text, err := url.PathUnescape(percented.Replace(s)); err == nil {
		return text
	}
	return s
}
