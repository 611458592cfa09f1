package policyservice

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tlsratchet/internal/ratchet"
)

// Limits of a request, in bytes and lines. Postfix sends some 40 attributes, of
// 2,048 bytes at most.
const (
	maxLine       = 4 << 10
	maxRequest    = 32 << 10
	maxAttributes = 200
)

// errRefused ends a connection for what came on it.
var errRefused = errors.New("not a policy request")

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
		r.set(string(name), string(value))
	}
}

// set sets an attribute. Those that are not known are ignored, as the protocol
// wants it.
func (r *request) set(name, value string) {
	f := &r.facts
	switch name {
	case "request":
		r.kind = value
	case "protocol_state":
		r.state = value
	case "instance":
		r.instance = value
	case "sender":
		r.sender = value
	case "recipient":
		r.recipient = value
	case "queue_id":
		r.queueID = value
	case "client_address":
		f.Client.Addr = value
	case "client_name": // "unknown" unless confirmed forward and back
		if f.Client.Name = value; value != "" && value != "unknown" {
			f.Client.Resolve = "OK"
		}
	case "client_port":
		r.port = value
	case "server_address":
		f.Client.DaemonAddr = value
	case "server_port":
		f.Client.DaemonPort = value
	case "encryption_protocol":
		f.Version = value
	case "encryption_cipher":
		f.Cipher = value
	case "encryption_keysize":
		f.Bits = value
	case "ccert_subject":
		f.Subject = unxtext(value)
	case "ccert_issuer":
		f.Issuer = unxtext(value)
	case "ccert_fingerprint":
		f.Fingerprints.Known, f.Fingerprints.Certificate = true, value
	case "ccert_pubkey_fingerprint":
		f.Fingerprints.Known, f.Fingerprints.Key = true, value
	case "sasl_method":
		f.AuthType = value
	case "sasl_username":
		f.AuthUser = value
	}
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
