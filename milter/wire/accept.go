package wire

import (
	"errors"
	"net"
	"net/textproto"
	"syscall"
	"time"

	"github.com/emersion/go-milter"
)

// How long to wait after a failed accept: the first time, and at most.
const (
	firstBackOff = 5 * time.Millisecond
	maxBackOff   = time.Second
)

// listener gives go-milter connections that are mended, and no errors but the
// last.
type listener struct {
	net.Listener
	srv *Server
}

// Accept waits for a connection that may be served. It fails only when the
// listener was closed or never can accept again; out of descriptors (EMFILE)
// and clients that are gone (ECONNABORTED) it waits out.
func (l *listener) Accept() (net.Conn, error) {
	wait := firstBackOff
	for {
		raw, err := l.Listener.Accept()
		if err == nil {
			if c := l.srv.admit(raw); c != nil {
				return c, nil
			}
			wait = firstBackOff
			continue
		}
		if final(err) || l.srv.draining.Load() {
			return nil, err
		}
		l.srv.acceptFailed(l.Addr(), err)
		if !l.srv.sleep(wait) {
			return nil, net.ErrClosed
		}
		wait = min(2*wait, maxBackOff)
	}
}

// final reports whether an error is of the listener itself and not of the moment.
func final(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EBADF) ||
		errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSOCK)
}

// admit takes a connection on, or closes it: whoever asks must be answered
// fast or refused fast, for Postfix makes its own client wait meanwhile.
func (s *Server) admit(raw net.Conn) *conn {
	if s.counts.open.Add(1) > int64(s.limits.Connections) {
		s.counts.open.Add(-1)
		s.counts.overLimit.Add(1)
		raw.Close()
		if hidden, ok := s.troubles.allow(time.Now()); ok {
			s.log.Warn("milter connection refused: too many are open",
				"limit", s.limits.Connections, "not_logged", hidden)
		}
		return nil
	}
	c := newConn(raw, s)
	if !s.add(c) {
		s.counts.open.Add(-1)
		raw.Close()
		return nil
	}
	s.counts.accepted.Add(1)
	return c
}

func (s *Server) acceptFailed(at net.Addr, err error) {
	s.counts.acceptErrors.Add(1)
	if hidden, ok := s.failures.allow(time.Now()); ok {
		s.log.Error("milter connections can't be accepted; trying again",
			"listener", at.String(), "error", clean([]byte(err.Error()), 200), "not_logged", hidden)
	}
}

// sleep reports false if the server was stopped meanwhile.
func (s *Server) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.stop:
		return false
	}
}

// acceptAll lets everything pass, where a session's own callbacks could not be
// made: the filter must never stop mail.
type acceptAll struct {
	protocol milter.OptProtocol
}

// reply is silence for a stage that was negotiated so.
func (a acceptAll) reply(silent milter.OptProtocol) (milter.Response, error) {
	if a.protocol&silent != 0 {
		return nil, nil
	}
	return milter.RespAccept, nil
}

func (a acceptAll) Connect(string, string, uint16, net.IP, *milter.Modifier) (milter.Response, error) {
	return a.reply(milter.OptNoConnReply)
}

func (a acceptAll) Helo(string, *milter.Modifier) (milter.Response, error) {
	return a.reply(milter.OptNoHeloReply)
}

func (a acceptAll) MailFrom(string, *milter.Modifier) (milter.Response, error) {
	return a.reply(milter.OptNoMailReply)
}

func (a acceptAll) RcptTo(string, *milter.Modifier) (milter.Response, error) {
	return a.reply(milter.OptNoRcptReply)
}

func (a acceptAll) Header(string, string, *milter.Modifier) (milter.Response, error) {
	return a.reply(milter.OptNoHeaderReply)
}

func (a acceptAll) Headers(textproto.MIMEHeader, *milter.Modifier) (milter.Response, error) {
	return a.reply(milter.OptNoEOHReply)
}

func (a acceptAll) BodyChunk([]byte, *milter.Modifier) (milter.Response, error) {
	return a.reply(milter.OptNoBodyReply)
}

func (a acceptAll) Body(*milter.Modifier) (milter.Response, error) {
	return a.reply(0)
}

func (a acceptAll) Abort(*milter.Modifier) error { return nil }
