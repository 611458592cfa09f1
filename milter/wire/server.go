package wire

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"

	"github.com/emersion/go-milter"

	"tlsratchet/internal/clean"
)

// Server serves milter clients on any number of listeners. Make one with
// [New]; call Serve once and Shutdown from another goroutine: a session whose
// callback is still running then is left behind without a connection.
type Server struct {
	*Desk
	config Config
	// negotiation is the reply to every client's.
	negotiation []byte
	idle        spare[*conn]

	notMilter, badFrame, frameTooBig atomic.Int64
}

// Stats are counts of connections since the server was made, but for Open.
type Stats struct {
	DeskStats
	// NotMilter counts connections closed because they began without a milter
	// negotiation, BadFrame those for an empty packet or an unknown command,
	// FrameTooBig those for a packet of more than 64 KiB. All are Refused too.
	NotMilter, BadFrame, FrameTooBig int64
}

// New makes a server.
func New(config Config) *Server {
	config.Protocol |= milter.OptNoUnknown
	return &Server{
		Desk:        NewDesk("milter", config.Limits, inSize, nil, config.Log),
		config:      config,
		negotiation: negotiation(config),
	}
}

// Stats returns the counts as they are now.
func (s *Server) Stats() Stats {
	return Stats{
		DeskStats: s.Desk.Stats(), NotMilter: s.notMilter.Load(), BadFrame: s.badFrame.Load(),
		FrameTooBig: s.frameTooBig.Load(),
	}
}

// Serve takes connections from the listeners, which are its own from now on,
// until Shutdown, and then returns nil. If a listener fails for good, Serve
// stops all of them and returns the error; sessions go on to the end of their
// message, and the caller should still call Shutdown to wait for them.
func (s *Server) Serve(listeners ...net.Listener) error {
	return s.gate.serve(listeners, s.serve)
}

// Shutdown is that of [Desk.Shutdown], and ends what is kept for the next connection.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.Desk.Shutdown(ctx)
	for _, c := range s.idle.drop(true) {
		close(c.clients)
	}
	return err
}

// serve gives a connection to a session of go-milter: to one that is idle, or else to
// that of a server of its own, which starts a goroutine and returns. So callbacks know
// their connection.
func (s *Server) serve(raw net.Conn) {
	if c, found := s.idle.take(); found {
		c.clients <- raw
		return
	}
	c := s.newConn(raw)
	inner := milter.Server{NewMilter: func() milter.Milter { return &c.callbacks }}
	_ = inner.Serve(&once{conn: c}) // ends with the end of the listener
}

func (s *Server) newConn(raw net.Conn) *conn {
	c := &conn{srv: s, clients: make(chan net.Conn, 1)}
	c.callbacks.conn = c
	c.start(raw)
	return c
}

// LogWriter makes a writer for [log.SetOutput] (with log.SetFlags(0), for slog
// has its own time), which is where go-milter logs: every write becomes one event
// and one line, printable ASCII, at level Warn.
func LogWriter(to *slog.Logger) io.Writer { return logWriter{to} }

type logWriter struct{ to *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	// At most a panic with the frames of its stack that matter.
	if text := clean.Text(strings.Join(strings.Fields(string(p)), " "), 2000); text != "" {
		w.to.Warn("go-milter", "text", text)
	}
	return len(p), nil
}
