package milter

import (
	"net/netip"
	"sync/atomic"
	"time"

	"tlsratchet/internal/inbound"
	"tlsratchet/milter/wire"
)

// DefaultLimits suit a Postfix: 4,096 connections, 10 seconds for what has begun.
//
// Idle is 9 hours and not minutes on purpose. Postfix keeps the connection
// through the whole SMTP session, in which the SMTP client may pause 300 s
// before each of 100 junk commands (smtpd_timeout, smtpd_junk_command_limit)
// without an event for us; and when we close it, the rest of that session goes
// unfiltered under default_action=accept. A short limit would be a way around
// the filter. Hosts that vanished are found by TCP keep-alive.
func DefaultLimits() wire.DeskLimits {
	return wire.DeskLimits{Connections: 4096, Idle: 9 * time.Hour, Request: 10 * time.Second, Write: 10 * time.Second}
}

// Stats are counts since the server was made.
type Stats struct {
	wire.DeskStats
	// NotMilter counts connections closed because what came first was no milter
	// negotiation, BadFrame those for an empty packet or an unknown command, and
	// FrameTooBig those for a packet of more than 64 KiB. All are Refused too.
	NotMilter, BadFrame, FrameTooBig uint64
}

// Server is a milter.
type Server struct {
	*wire.Desk
	*inbound.Door
	seen func(addr netip.Addr, port string)
	// hasFacts: some message came with a client address.
	hasFacts atomic.Bool

	notMilter, badFrame, frameTooBig atomic.Uint64
}

// New makes a server. seen, if not nil, is called with the client's address and
// port ("" where Postfix states none) of each message. It is on the mail path.
func New(deps inbound.Deps, options inbound.Options, seen func(addr netip.Addr, port string), limits wire.DeskLimits) *Server {
	s := &Server{Door: inbound.New(deps, options), seen: seen}
	s.Desk = wire.NewDesk("milter", limits, bufferSize, s.serve, deps.Log)
	return s
}

// Stats returns the counts as they are now.
func (s *Server) Stats() Stats {
	return Stats{
		DeskStats: s.Desk.Stats(), NotMilter: s.notMilter.Load(), BadFrame: s.badFrame.Load(), FrameTooBig: s.frameTooBig.Load(),
	}
}

// unknown counts a message without a client address. Where no message had one
// yet, the cause is plain.
func (s *Server) unknown(err error, bare bool) {
	cause := ""
	if bare && !s.hasFacts.Load() {
		cause = "Postfix does not send the macros that were asked for at MAIL; nothing is judged or learned until it does; check that the milter's client is Postfix and that no proxy in between removes {client_addr}"
	}
	s.Unknown(err, cause)
}
