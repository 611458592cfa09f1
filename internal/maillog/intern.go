package maillog

import (
	"bytes"
	"strings"

	"tlsratchet/tlsstate"
)

// What is the same in many lines is stored once: the memory of a joiner is
// bounded by the clients, the listeners and the kinds of encryption.

func (j *joiner) listener(source []byte) *listener {
	if l := j.lastListener; l != nil && l.source == string(source) {
		return l
	}
	l := j.listeners[string(source)]
	if l == nil {
		host, service, _ := strings.Cut(string(source), " ")
		l = &listener{Listener{Host: host, Service: service}, uint64(len(j.listeners)), string(source)}
		j.listeners[l.source] = l
	}
	j.lastListener = l
	return l
}

// sender is a program of the sending side of one host.
type sender struct {
	*Deliveries
	program string
}

func (j *joiner) sender(source []byte) *sender {
	s := j.senders[string(source)]
	if s == nil {
		host, program, _ := strings.Cut(string(source), " ")
		d := j.deliveries[host]
		if d == nil {
			d = NewDeliveries(j.sink.Deliveries)
			j.deliveries[host] = d
		}
		s = &sender{d, program}
		j.senders[string(source)] = s
	}
	return s
}

func (j *joiner) client(text []byte) *Client {
	c := j.clients[string(text)]
	if c == nil {
		s := string(text)
		open := strings.IndexByte(s, '[')
		c = &Client{Name: s[:open], Addr: s[open+1 : len(s)-1], Number: len(j.clients)}
		j.clients[s] = c
	}
	return c
}

func addrOf(client []byte) []byte {
	return client[bytes.IndexByte(client, '[')+1 : len(client)-1]
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
	if s.Level == tlsstate.Plaintext {
		s.Level = tlsstate.TLS13 // no name: encrypted, by an unknown protocol
	}
	return s
}
