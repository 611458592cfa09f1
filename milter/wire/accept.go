package wire

import (
	"net"
	"net/textproto"

	"github.com/emersion/go-milter"
)

// listener gives go-milter connections that are mended, and no errors but the
// last.
type listener struct {
	net.Listener
	srv *Server
}

// Accept waits for a connection that may be served.
func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.srv.gate.accept(l.Listener)
	if err != nil {
		return nil, err
	}
	return newConn(raw, l.srv), nil
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
