package policyservice

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tlsratchet/internal/ratchet"
	"tlsratchet/milter/wire"
)

// Limits of a request, in bytes and lines. Postfix sends some 40 attributes, of
// 2,048 bytes at most.
const (
	maxLine       = 4 << 10
	maxRequest    = 32 << 10
	maxAttributes = 200
)

// errRefused ends a connection for what came on it.
var errRefused = fmt.Errorf("%w: not a policy request", wire.ErrRefused)

// request is one question. Its texts are as Postfix sent them, not clean.
type request struct {
	facts ratchet.Facts
	// kind is smtpd_access_policy; state is where in the SMTP dialogue it is
	// asked: RCPT, END-OF-MESSAGE and others.
	kind, state string
	// instance names the message: it is the same for all of its recipients.
	instance                         string
	sender, recipient, queueID, port string
}

// read reads a request: lines of name=value, and an empty one. It returns io.EOF
// where the client left between two requests, or an error that wraps
// [errRefused].
func read(in *bufio.Reader) (*request, error) {
	var r request
	size := 0
	for n := 0; ; n++ {
		line, err := in.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				err = fmt.Errorf("%w: a line of more than %d bytes", errRefused, maxLine)
			}
			return nil, err
		}
		line = line[:len(line)-1]
		if len(line) == 0 && n > 0 {
			return &r, nil
		}
		name, value, found := bytes.Cut(line, []byte{'='})
		if size += len(line); !found || len(name) == 0 || size > maxRequest || n >= maxAttributes {
			return nil, fmt.Errorf("%w: line %d, %d bytes so far", errRefused, n+1, size)
		}
		r.set(string(name), value)
	}
}

// set sets an attribute. Those that are not known are ignored, as the protocol
// wants it.
func (r *request) set(name string, value []byte) {
	f := &r.facts
	switch name {
	case "client_name": // "unknown" unless confirmed forward and back
		if f.Client.Name = string(value); len(value) > 0 && f.Client.Name != "unknown" {
			f.Client.Resolve = "OK"
		}
	case "ccert_subject":
		f.Subject = unxtext(string(value))
	case "ccert_issuer":
		f.Issuer = unxtext(string(value))
	case "ccert_fingerprint":
		f.Fingerprints.Known, f.Fingerprints.Certificate = true, string(value)
	case "ccert_pubkey_fingerprint":
		f.Fingerprints.Known, f.Fingerprints.Key = true, string(value)
	default:
		if to := r.plain(name); to != nil {
			*to = string(value)
		}
	}
}

// plain is where an attribute goes as it is, nil for none that is known.
func (r *request) plain(name string) *string {
	f := &r.facts
	switch name {
	case "request":
		return &r.kind
	case "protocol_state":
		return &r.state
	case "instance":
		return &r.instance
	case "sender":
		return &r.sender
	case "recipient":
		return &r.recipient
	case "queue_id":
		return &r.queueID
	case "client_address":
		return &f.Client.Addr
	case "client_port":
		return &r.port
	case "server_address":
		return &f.Client.DaemonAddr
	case "server_port":
		return &f.Client.DaemonPort
	case "encryption_protocol":
		return &f.Version
	case "encryption_cipher":
		return &f.Cipher
	case "encryption_keysize":
		return &f.Bits
	case "sasl_method":
		return &f.AuthType
	case "sasl_username":
		return &f.AuthUser
	}
	return nil
}

// unxtext decodes a certificate's name, which Postfix sends as xtext (RFC 3461
// section 4), so that it is the text that a milter gets.
func unxtext(s string) string {
	if !strings.Contains(s, "+") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '+' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
