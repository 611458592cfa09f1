package maillog

import (
	"bytes"
	"cmp"
	"path"
	"time"

	"tlsratchet/tlsstate"
)

// Delivery is what smtp(8) logged of one recipient's delivery, or of an attempt
// at it. Its texts are as logged and not clean.
type Delivery struct {
	At time.Time
	// From is the host that sent, as logged, and PID the process.
	From    string
	PID     uint32
	QueueID string
	// Domain is the domain of the recipient.
	Domain string
	// Host and Addr are the relay's; empty where there was none (relay=none).
	Host, Addr string
	// Took is the time for connecting and sending.
	Took time.Duration
	// Reused reports whether an earlier delivery used the same connection.
	Reused bool
	// Status is 0 for a probe of an address (ADDRESS_VERIFICATION_README).
	Status Status
	// TLS is what the delivery used; for one that was not sent, Unknown.
	TLS TLSUse
	// Security is set for Encrypted.
	Security tlsstate.Security
	// Offered reports whether a delivery in clear was to a host that offered
	// STARTTLS, Failed whether a handshake with it failed before.
	Offered, Failed bool
	// Refusal is why TLS that was required kept the mail here. Handshake may be of a
	// host that was tried before.
	Refusal Refusal
	// Suspended marks a delivery that Postfix did not try because an earlier
	// one to the same destination had failed.
	Suspended bool
	// Doubtful marks a line that an address may have forged where Postfix logs addresses
	// without quotes: before 3.5, or as info_log_address_format sets it.
	Doubtful bool
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
	// Ended: the connection ended within TLS, and at level "may" Postfix would have tried
	// once more in clear.
	Ended
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
	sink  DeliverySink
	hosts map[string]*sender
	// clients is how many processes are remembered, of all hosts.
	clients int
	// gap is when lines of all hosts were last known to be lost.
	gap time.Time
	out Delivery
}

// sender is one sending host. Others have processes of the same numbers.
type sender struct {
	*Deliveries
	name      string
	processes map[uint32]*client
	// gap is when lines were last known to be lost, or the log began.
	gap time.Time
}

const (
	// maxClients bounds the processes that are remembered, of all hosts together.
	maxClients = 1 << 14
	// maxSenders bounds the hosts: a log server takes any name.
	maxSenders = 1 << 10
)

// NewDeliveries returns a joiner. What was logged before the first line is not
// known: see [Deliveries.Gap].
func NewDeliveries(sink DeliverySink) *Deliveries {
	return &Deliveries{sink: sink, hosts: make(map[string]*sender)}
}

// Gap notes that lines from before that time may be missing, of any host. A delivery
// counts as in clear only if it began later, and a connection as the one that was
// used only if its TLS began later.
func (d *Deliveries) Gap(at time.Time) {
	d.gap = at
	for _, s := range d.hosts {
		s.lost(at)
	}
}

// Hosts returns how many hosts sent.
func (d *Deliveries) Hosts() int { return len(d.hosts) }

// Line reads one line, and reports whether it is about deliveries.
func (d *Deliveries) Line(l *Line) bool {
	s := d.sender(l.Host, l.At)
	switch path.Base(l.Program) {
	case "smtp":
		s.smtp(l.At, l.PID, l.Message)
	case "error", "retry":
		// An address that is none may be any text here, and is never quoted.
		if line, _, whole := statusLine(l.Message); whole && !line.Doubtful {
			s.final(l.At, l.PID, &line)
		}
	case "qmgr":
		if id, rest, ok := queueID(l.Message); ok && string(rest) == "removed" {
			d.sink.Removed(string(id))
		}
	default:
		if _, ok := lost(l.Message); ok && loggerName([]byte(l.Program)) > 0 {
			s.lost(l.At.Add(time.Second))
		}
		return false
	}
	return true
}

// sender returns a host. The begin of its log is a gap, if it is not known.
func (d *Deliveries) sender(name string, at time.Time) *sender {
	s := d.hosts[name]
	if s == nil {
		if len(d.hosts) >= maxSenders {
			clear(d.hosts)
			d.clients, d.gap = 0, at.Add(time.Second)
		}
		s = &sender{Deliveries: d, name: name, processes: make(map[uint32]*client), gap: cmp.Or(d.gap, at.Add(time.Second))}
		d.hosts[name] = s
	}
	return s
}

// lost notes that lines from before that time may be missing.
func (s *sender) lost(at time.Time) {
	s.gap = at
	for _, p := range s.processes {
		p.doubt("")
	}
}

// process returns what is known of a process. A pid that was silent for an hour
// is another one's.
func (s *sender) process(at time.Time, pid uint32) *client {
	now := at.Unix()
	p := s.processes[pid]
	if p == nil || now-p.at > patience {
		if p == nil {
			if s.clients >= maxClients { // what any of them is at is not known then
				for _, other := range s.hosts {
					clear(other.processes)
				}
				s.clients = 0
				s.Gap(at.Add(time.Second))
			}
			s.clients++
		}
		p = &client{tls: make(map[string]connection), offered: make(map[string]bool), failed: make(map[string]bool)}
		s.processes[pid] = p
	}
	p.at = now
	return p
}

// smtp reads a line of smtp(8). One that can't be read whole is lost.
func (s *sender) smtp(at time.Time, pid uint32, msg []byte) {
	p, whole := s.process(at, pid), true
	if relay, security, isTLS, all := tlsLine(msg); isTLS {
		if whole = all; whole {
			p.tls[relay] = connection{security, at}
		}
	} else if rest, ok := bytes.CutPrefix(msg, offeredBy); ok {
		rest, whole = bytes.CutSuffix(rest, []byte("]"))
		p.offered[string(rest)] = true
		p.drop(string(rest))
	} else if relay, _, ok := relayAfter(msg, connectError); ok {
		p.failed[hostOf(relay)] = true
		delete(p.tls, relay)
	} else if line, isStatus, all := statusLine(msg); isStatus {
		if whole = all; whole {
			s.final(at, pid, &line)
		}
	} else {
		p.trouble(msg)
	}
	if !whole {
		s.lost(at.Add(time.Second))
	}
}

// final reports a delivery that ended.
func (s *sender) final(at time.Time, pid uint32, line *status) {
	p := s.process(at, pid)
	// Delays are rounded to two digits; the time of a line is cut to seconds.
	began := at.Add(-line.Took - line.Took/10 - 200*time.Millisecond)
	line.At, line.From, line.PID, line.Skipped = at, s.name, pid, p.skipped
	_, encrypted := p.tls[line.relay]
	switch {
	case line.Refusal != NoRefusal || line.Status != Deferred:
	case p.broken:
		line.Refusal = Handshake
	case line.waited && (p.ended || encrypted && line.ended):
		line.Refusal = Ended
	}
	p.finish(line, began.Truncate(time.Second), began.After(s.gap))
	if s.out = line.Delivery; line.Status != Sent {
		s.out.TLS, s.out.Security, s.out.Offered, s.out.Failed = TLSUnknown, tlsstate.Security{}, false, false
	}
	s.sink.Delivered(&s.out)
}
