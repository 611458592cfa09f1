package policyservice

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

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
	// certified: Postfix states what it knows of a certificate.
	certified bool
}

// read reads a request: lines of name=value, and an empty one. Texts that are
// those of the request before it are kept. It returns io.EOF where the client left
// between two requests, or an error that wraps [errRefused].
func (r *request) read(in *bufio.Reader) error {
	before := r.text
	*r = request{}
	size := 0
	for n := 0; ; n++ {
		line, err := in.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				err = fmt.Errorf("%w: a line of more than %d bytes", errRefused, maxLine)
			}
			return err
		}
		line = line[:len(line)-1]
		if len(line) == 0 && n > 0 {
			return nil
		}
		name, value, found := bytes.Cut(line, []byte{'='})
		if size += len(line); !found || len(name) == 0 || size > maxRequest || n >= maxAttributes {
			return fmt.Errorf("%w: line %d, %d bytes so far", errRefused, n+1, size)
		}
		a, known := byName[string(name)]
		if !known {
			continue
		}
		if a >= fingerprint {
			r.certified = true
		}
		if r.text[a] = before[a]; before[a] != string(value) {
			r.text[a] = string(value)
		}
	}
}

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
	f := ratchet.Facts{
		Client:  peer.Client{Addr: t[clientAddress], Name: t[clientName], DaemonAddr: t[serverAddress], DaemonPort: t[serverPort]},
		Version: t[protocol], Cipher: t[cipher], Bits: t[keySize], Subject: unxtext(t[subject]), Issuer: unxtext(t[issuer]),
		Fingerprints: ratchet.Fingerprints{Known: r.certified, Certificate: t[fingerprint], Key: t[keyFingerprint]},
		AuthType:     t[saslMethod], AuthUser: t[saslUser],
	}
	if f.Client.Name != "" && f.Client.Name != "unknown" {
		f.Client.Resolve = "OK"
	}
	return f
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
