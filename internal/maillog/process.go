package maillog

import (
	"bytes"
	"maps"
	"time"

	"tlsratchet/tlsstate"
)

// client is one smtp(8) process.
type client struct {
	at int64
	// tls are the connections that were encrypted and not used yet; zero for one
	// that may have ended.
	tls map[string]connection
	// offered and failed are the hosts that the lines since the last delivery
	// name; broken is set if the handshake with any failed, ended if a connection
	// ended after it.
	offered, failed map[string]bool
	broken, ended   bool
	skipped         []string
	last            status // it may have more recipients
}

// connection is an encrypted one, and when its line was written.
type connection struct {
	tlsstate.Security
	at time.Time
}

// finish finds how a delivery went that did not begin before the given second, of
// which all lines are known or not. Further recipients of a message went with the
// first, and have the same delays up to the connection; a later attempt did not.
func (p *client) finish(s *status, began time.Time, known bool) {
	of, encrypted := p.tls[s.relay]
	s.Offered, s.Failed = p.offered[s.Host], p.failed[s.Host]
	l := &p.last
	same := l.QueueID == s.QueueID && l.relay == s.relay && l.connect == s.connect && l.tls == s.tls && !s.At.Add(-s.Took-time.Second).After(l.At)
	if same && !encrypted && !s.Offered && !s.Failed {
		s.TLS, s.Security, s.Offered, s.Failed = l.TLS, l.Security, l.Offered, l.Failed
		return
	}
	switch use := s.tlsField(); {
	case encrypted && (of.Protocol == "" || of.at.Before(began)) && use != Clear: // of a delivery whose end was lost, perhaps
	case encrypted && use != Clear:
		s.TLS, s.Security = Encrypted, of.Security
	case use == Encrypted: // its line is missing: at least there was TLS
	case use == Clear || known:
		s.TLS = Clear
	}
	p.last = *s
	clear(p.tls)
	clear(p.offered)
	clear(p.failed)
	p.skipped, p.broken, p.ended = nil, false, false
}

// doubt notes that the encrypted connections to a host, or "" for all, may have ended.
func (p *client) doubt(host string) {
	for relay := range p.tls {
		if host == "" || hostOf(relay) == host {
			p.tls[relay] = connection{}
		}
	}
}

// drop forgets the encrypted connections to a host: it is tried again, perhaps for
// other recipients of the same message.
func (p *client) drop(host string) {
	maps.DeleteFunc(p.tls, func(relay string, _ connection) bool { return hostOf(relay) == host })
	if p.last.Host == host {
		p.last = status{}
	}
}

// ended reports whether a text states that a connection ended.
func ended(text []byte) bool {
	return bytes.HasPrefix(text, lostWith) || bytes.HasPrefix(text, timedOut)
}

// trouble reads a line that ends the session with one host, but not the
// delivery. Refused recipients leave it as it is.
func (p *client) trouble(msg []byte) {
	_, rest, ok := queueID(msg)
	if !ok {
		return
	}
	host := hostOf(string(rest))
	switch {
	case bytes.HasPrefix(rest, required):
		p.skipped = append(p.skipped, host)
		p.drop(host)
	case bytes.HasPrefix(rest, cannotStart):
		p.broken = true
		clear(p.tls)
	case bytes.HasPrefix(rest, byHost) && !bytes.HasSuffix(rest, []byte(")")):
		// Postfix cuts lines at 2,000 bytes: it is not known to what it is a reply.
		p.doubt(host)
	case ended(rest), bytes.HasPrefix(rest, byHost) && !bytes.HasSuffix(rest, inReplyToRCPT):
		before := len(p.tls)
		p.drop(host)
		p.ended = p.ended || ended(rest) && len(p.tls) < before
	}
}
