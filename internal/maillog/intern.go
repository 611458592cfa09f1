package maillog

import (
	"strings"

	"tlsratchet/tlsstate"
)

// What is the same in many lines is stored once: the memory of a joiner is
// bounded by the clients, the programs and the kinds of encryption.

// origin is a program on a host, as logged: "mx1 postfix/smtpd".
type origin struct {
	Listener
	source  string // its key
	number  uint64
	listens bool  // it is an smtpd(8)
	dropped int32 // lines that it, a logger, reported as lost since it started
}

func (j *joiner) origin(source []byte) *origin {
	if o := j.last; o != nil && o.source == string(source) {
		return o
	}
	o := j.origins[string(source)]
	if o == nil {
		host, service, _ := strings.Cut(string(source), " ")
		o = &origin{Listener: Listener{Host: host, Service: service}, source: string(source), number: uint64(len(j.origins))}
		j.origins[o.source] = o
	}
	j.last = o
	return o
}

func (j *joiner) client(text []byte) *Client {
	c := j.clients[string(text)]
	if c == nil {
		s := string(text)
		open := strings.IndexByte(s, '[')
		c = &Client{Name: s[:open], Addr: s[open+1 : len(s)-1]}
		j.clients[s] = c
	}
	return c
}

// encryption is the text about it, and whether the client was trusted.
type encryption struct {
	text    string
	trusted bool
}

func (j *joiner) security(e *event) *tlsstate.Security {
	if s := j.securitys[encryption{string(e.text), e.trusted}]; s != nil {
		return s
	}
	s := securityOf(string(e.text))
	s.Certificate = e.trusted
	if len(j.securitys) < maxSecuritys {
		j.securitys[encryption{string(e.text), e.trusted}] = &s
	}
	return &s
}

// securityOf reads "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) …".
func securityOf(text string) tlsstate.Security {
	version, rest, _ := strings.Cut(text, string(withCipher))
	cipher, bits, _ := strings.Cut(rest, " (")
	n, _ := number([]byte(bits))
	s := tlsstate.Security{Level: tlsstate.LevelOf(version, cipher), Protocol: version, Cipher: cipher, Bits: int(n)}
	if version == "" {
		s.Level = tlsstate.TLS13 // encrypted, by an unknown protocol
	}
	return s
}
