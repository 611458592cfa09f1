package wire

import (
	"log/slog"
	"time"

	"github.com/emersion/go-milter"
)

// DefaultLimits suit a Postfix: 4,096 connections, 10 seconds for what has begun.
// A connection takes some 16 KiB, its stack included.
//
// Idle is 9 hours and not minutes on purpose. Postfix keeps the connection
// through the whole SMTP session, in which the SMTP client may pause 300 s
// before each of 100 junk commands (smtpd_timeout, smtpd_junk_command_limit)
// without a word to us; and when we close it, the rest of that session goes
// unfiltered under default_action=accept. A short limit would be a way around
// the filter. Hosts that vanished are found by TCP keep-alive.
func DefaultLimits() DeskLimits {
	return DeskLimits{Connections: 4096, Idle: 9 * time.Hour, Request: 10 * time.Second, Write: 10 * time.Second}
}

// Config is what a [Server] is made of.
type Config struct {
	// Backend makes the callbacks of one connection, for all of its messages,
	// which end at MAIL, RCPT or the end of message. Abort may come before the first. It
	// must not panic. Required.
	Backend func() milter.Milter
	// Actions, Protocol and, by OptSetSymList, SymList are what is negotiated. To
	// Protocol OptNoUnknown is added, for go-milter can't take that command. The
	// macros that Postfix sends for a stage that Protocol leaves out are dropped.
	Actions  milter.OptAction
	Protocol milter.OptProtocol
	SymList  map[milter.Stage][]string
	// KeepHeader chooses the headers that Header is called for, with the name
	// alone and no Modifier: go-milter, which would keep each for the whole
	// session, gets none. The name is as the message has it, only valid during
	// the call; names of more than some 4 KiB are not asked for. It needs
	// OptNoHeaderReply, for nobody answers a header. Required.
	KeepHeader func(name []byte) bool
	// Limits are usually those of [DefaultLimits]. A request is a packet, or the
	// negotiation.
	Limits DeskLimits
	// Log gets a line for connections that are refused, one a minute at most.
	// Required.
	Log *slog.Logger
}
