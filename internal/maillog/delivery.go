package maillog

import (
	"bytes"
	"time"

	"tlsratchet/tlsstate"
)

// Delivery is what smtp(8) logged of one recipient's delivery, or of an attempt
// at it. Its texts are as logged and not clean.
type Delivery struct {
	At      time.Time
	PID     uint32
	QueueID string
	// Domain is the domain of the recipient.
	Domain string
	// Host and Addr are the relay's; empty where there was none (relay=none).
	Host, Addr string
	// Reused reports whether an earlier delivery used the same connection.
	Reused bool
	Status Status
	// TLS is what the delivery used; for one that was not sent, Unknown.
	TLS TLSUse
	// Security is set for Encrypted.
	Security tlsstate.Security
	// Offered reports whether a delivery in clear was to a host that offered
	// STARTTLS, Failed whether a handshake with it failed before.
	Offered, Failed bool
	// Refusal is why TLS that was required kept the mail here.
	Refusal Refusal
	// Suspended marks a delivery that Postfix did not try because an earlier
	// one to the same destination had failed.
	Suspended bool
	// Skipped are the hosts that were tried before and did not offer the TLS
	// that was required.
	Skipped []string
}

// Status is how a delivery ended.
type Status uint8

// The ends of a delivery.
const (
	Sent Status = iota + 1
	Deferred
	Bounced
)

// TLSUse is whether a delivery was encrypted.
type TLSUse uint8

// Unknown: lines are missing, or nothing was sent. It never means clear.
const (
	TLSUnknown TLSUse = iota
	Clear
	Encrypted
)

// Refusal is why TLS that was required was not to be had.
type Refusal uint8

// The refusals.
const (
	NoRefusal Refusal = iota
	// NotOffered: the host offered no STARTTLS, or refused to start it.
	NotOffered
	// Handshake: it offered STARTTLS, and the handshake failed.
	Handshake
)

// DeliverySink receives what [Deliveries] finds. What it is lent is valid
// during the call only.
type DeliverySink interface {
	// Delivered is called for each recipient's line.
	Delivered(*Delivery)
	// Removed is called when a message has left the queue.
	Removed(queueID string)
}

// Deliveries joins the lines of smtp(8) to deliveries: TLS is logged by process,
// and the recipient with a queue id. Lines are fed in the order of the log.
type Deliveries struct {
	sink      DeliverySink
	processes map[uint32]*client
	// gap is when lines were last known to be lost, or the log began.
	gap time.Time
	out Delivery
}

// client is one smtp(8) process.
type client struct {
	at int64
	// tls are the connections that were encrypted and not used yet; zero for one
	// that may have ended.
	tls map[string]tlsstate.Security
	// offered and failed are the hosts that the lines since the last delivery
	// name.
	offered, failed map[string]bool
	skipped         []string
	last            status // it may have more recipients
}

// maxClients bounds the processes that are remembered.
const maxClients = 1 << 13

// NewDeliveries returns a joiner. What was logged before the first line is not
// known: see [Deliveries.Gap].
func NewDeliveries(sink DeliverySink) *Deliveries {
	return &Deliveries{sink: sink, processes: make(map[uint32]*client)}
}

// Gap notes that lines from before that time may be missing. Only of a delivery
// that began later is it believed that it was in clear, and only of a connection
// that was encrypted later that it is the one that was used.
func (d *Deliveries) Gap(at time.Time) {
	d.gap = at
	for _, p := range d.processes {
		for relay := range p.tls {
			p.tls[relay] = tlsstate.Security{}
		}
	}
}

// Line reads one line: the program that wrote it ("postfix/smtp"), its process
// and its message.
func (d *Deliveries) Line(at time.Time, program string, pid uint32, msg []byte) {
	if d.gap.IsZero() {
		d.Gap(at.Add(time.Second))
	}
	switch daemonOf(program) {
	case "smtp":
		d.smtp(at, pid, msg)
	case "error", "retry":
		d.status(at, pid, msg)
	case "qmgr":
		if id, rest, ok := queueID(msg); ok && string(rest) == "removed" {
			d.sink.Removed(string(id))
		}
	default:
		if _, ok := lost(msg); ok && loggerName([]byte(program)) > 0 {
			d.Gap(at.Add(time.Second))
		}
	}
}

// process returns what is known of a process. A pid that was silent for an hour
// is another one's.
func (d *Deliveries) process(at time.Time, pid uint32) *client {
	now := at.Unix()
	p := d.processes[pid]
	if p == nil || now-p.at > patience {
		if p == nil && len(d.processes) >= maxClients {
			d.forgetOld(at)
		}
		p = &client{tls: make(map[string]tlsstate.Security), offered: make(map[string]bool), failed: make(map[string]bool)}
		d.processes[pid] = p
	}
	p.at = now
	return p
}

// forgetOld makes room: for all but what was active in the last minute, or for
// all.
func (d *Deliveries) forgetOld(at time.Time) {
	for pid, p := range d.processes {
		if at.Unix()-p.at > 60 {
			delete(d.processes, pid)
		}
	}
	if len(d.processes) >= maxClients {
		clear(d.processes)
		d.Gap(at)
	}
}

func (d *Deliveries) smtp(at time.Time, pid uint32, msg []byte) {
	p := d.process(at, pid)
	if relay, security, ok, whole := tlsLine(msg); whole {
		p.tls[relay] = security
		return
	} else if ok {
		d.Gap(at.Add(time.Second))
		return
	}
	if rest, ok := bytes.CutPrefix(msg, offeredBy); ok {
		rest, whole := bytes.CutSuffix(rest, []byte("]"))
		host := string(rest)
		p.offered[host] = true
		if p.drop(host); !whole {
			d.Gap(at.Add(time.Second))
		}
		return
	}
	if relay, _, ok := relayAfter(msg, connectError); ok {
		p.failed[hostOf(relay)] = true
		delete(p.tls, relay)
		return
	}
	if !d.status(at, pid, msg) {
		p.trouble(msg)
	}
}

// status reads a recipient's line, and returns false for any other. One that can't be
// read whole is lost.
func (d *Deliveries) status(at time.Time, pid uint32, msg []byte) bool {
	s, is, whole := statusLine(msg)
	switch {
	case whole:
		d.final(at, pid, d.process(at, pid), &s)
	case is:
		d.Gap(at.Add(time.Second))
	}
	return is
}

// final reports a delivery that ended.
func (d *Deliveries) final(at time.Time, pid uint32, p *client, s *status) {
	// Delays are rounded to two digits; the time of a line is cut to seconds.
	known := at.Add(-s.took - s.took/10 - 200*time.Millisecond).After(d.gap)
	s.At, s.PID, s.Skipped = at, pid, p.skipped
	p.finish(s, known)
	if d.out = s.Delivery; s.Status != Sent {
		d.out.TLS, d.out.Security, d.out.Offered, d.out.Failed = TLSUnknown, tlsstate.Security{}, false, false
	}
	if s.Status != 0 { // not a probe of an address (ADDRESS_VERIFICATION_README)
		d.sink.Delivered(&d.out)
	}
}

// finish finds how the delivery went. Further recipients of a message went with
// the first; a later attempt did not.
func (p *client) finish(s *status, known bool) {
	security, encrypted := p.tls[s.relay]
	s.Offered, s.Failed = p.offered[s.Host], p.failed[s.Host]
	l := &p.last
	same := l.QueueID == s.QueueID && l.relay == s.relay && !s.At.Add(-s.took-time.Second).After(l.At)
	if same && !encrypted && !s.Offered && !s.Failed {
		s.TLS, s.Security, s.Offered, s.Failed = l.TLS, l.Security, l.Offered, l.Failed
		return
	}
	switch use := s.tlsField(); {
	case encrypted && security.Protocol == "" && use != Clear:
	case encrypted && use != Clear:
		s.TLS, s.Security = Encrypted, security
	case use == Encrypted: // its line is missing: at least there was TLS
	case use == Clear || known:
		s.TLS = Clear
	}
	p.last = *s
	p.last.text = nil // it is only lent
	clear(p.tls)
	clear(p.offered)
	clear(p.failed)
	p.skipped = nil
}

// drop forgets the encrypted connections to a host: it is tried again.
func (p *client) drop(host string) {
	for relay := range p.tls {
		if hostOf(relay) == host {
			delete(p.tls, relay)
		}
	}
}

// trouble reads a line that ends the session with one host, but not the
// delivery. Refused recipients leave it as it is.
func (p *client) trouble(msg []byte) {
	_, rest, ok := queueID(msg)
	if !ok {
		return
	}
	host := hostAfter(rest, "")
	switch {
	case bytes.HasPrefix(rest, required):
		host = hostAfter(rest, "host ")
		p.skipped = append(p.skipped, host)
		p.drop(host)
	case bytes.HasPrefix(rest, cannotStart):
		clear(p.tls)
	case bytes.HasPrefix(rest, byHost) && !bytes.HasSuffix(rest, []byte(")")):
		// Postfix cuts lines at 2,000 bytes: it is not known to what it is a reply.
		for relay := range p.tls {
			if hostOf(relay) == host {
				p.tls[relay] = tlsstate.Security{}
			}
		}
	case bytes.HasPrefix(rest, lostWith), bytes.HasPrefix(rest, byHost) && !bytes.HasSuffix(rest, inReplyToRCPT):
		p.drop(host)
	}
}
