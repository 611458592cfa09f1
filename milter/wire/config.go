package wire

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/emersion/go-milter"
)

// ErrConfig is wrapped by the errors of [New]; the caller has a mistake.
var ErrConfig = errors.New("wire: bad server config")

// Limits are what one server grants its clients. All must be positive.
type Limits struct {
	// Connections is how many may be open at once, over all listeners; one
	// more is closed at once. Each takes 12 KiB of memory and up.
	Connections int
	// Frame is the largest length of a packet, in bytes, that is believed.
	Frame int
	// Idle is how long a client may say nothing between two packets; it gets
	// up to a quarter more.
	Idle time.Duration
	// Packet is how long a client may take for a packet that it has begun,
	// and for its negotiation after it connected.
	Packet time.Duration
	// Write is how long a reply may take; it gets up to a quarter more.
	Write time.Duration
}

// DefaultLimits suit a Postfix: 4,096 connections, its largest packet (a body
// chunk of 65,535 bytes), 10 seconds for what has begun.
//
// Idle is 9 hours and not minutes on purpose. Postfix keeps the connection
// through the whole SMTP session, in which the SMTP client may pause 300 s
// before each of 100 junk commands (smtpd_timeout, smtpd_junk_command_limit)
// without a word to us; and when we close it, the rest of that session goes
// unfiltered under default_action=accept. A short limit would be a way around
// the filter. Hosts that vanished are found by TCP keep-alive.
func DefaultLimits() Limits {
	return Limits{
		Connections: 4096,
		Frame:       64 << 10,
		Idle:        9 * time.Hour,
		Packet:      10 * time.Second,
		Write:       10 * time.Second,
	}
}

// Config is what a [Server] is made of.
type Config struct {
	// Backend makes the callbacks of one connection, for all of its messages. If
	// it panics, the connection gets callbacks that accept everything.
	Backend func() milter.Milter
	// Actions, Protocol and SymList are what is negotiated. To Protocol
	// OptNoUnknown is added, for go-milter can't take that command. The macros
	// that Postfix sends for a stage that Protocol leaves out are dropped.
	Actions  milter.OptAction
	Protocol milter.OptProtocol
	SymList  map[milter.Stage][]string
	// KeepHeader chooses the headers that Header is called for, with the name
	// alone and no Modifier: go-milter, which would keep each for the whole
	// session, gets none. The name is as the message has it, only valid during
	// the call; names of more than some 4 KiB are not asked for. It needs
	// OptNoHeaderReply, for nobody answers a header. Nil gives go-milter all.
	KeepHeader func(name []byte) bool
	// Limits are usually those of [DefaultLimits].
	Limits Limits
	// Log gets a line for connections that are refused, one a minute at most.
	Log *slog.Logger
}

func (c Config) validate() error {
	l := c.Limits
	switch {
	case c.Backend == nil:
		return fmt.Errorf("%w: no Backend", ErrConfig)
	case c.Log == nil:
		return fmt.Errorf("%w: no Log", ErrConfig)
	case c.KeepHeader != nil && c.Protocol&milter.OptNoHeaderReply == 0:
		return fmt.Errorf("%w: KeepHeader without OptNoHeaderReply", ErrConfig)
	case l.Connections <= 0 || l.Frame <= optNegLength || l.Idle <= 0 || l.Packet <= 0 || l.Write <= 0:
		return fmt.Errorf("%w: limits %+v, each must be positive", ErrConfig, l)
	}
	return nil
}
