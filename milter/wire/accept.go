package wire

import (
	"encoding/binary"
	"net"
	"net/textproto"

	"github.com/emersion/go-milter"
)

// once is a listener for one connection.
type once struct {
	net.Listener
	conn net.Conn
}

// Accept returns the connection, and then an end.
func (o *once) Accept() (c net.Conn, err error) {
	if c, o.conn = o.conn, nil; c == nil {
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close does nothing: the session closes its connection.
func (o *once) Close() error { return nil }

// answering writes the replies of a connection's callbacks: go-milter, which
// sees none, would make a buffer of 4 KiB for each.
type answering struct {
	milter.Milter
	conn *conn
}

// MailFrom calls the backend and writes its reply.
func (a *answering) MailFrom(from string, m *milter.Modifier) (milter.Response, error) {
	return a.write(a.Milter.MailFrom(from, m))
}

// RcptTo calls the backend and writes its reply.
func (a *answering) RcptTo(to string, m *milter.Modifier) (milter.Response, error) {
	return a.write(a.Milter.RcptTo(to, m))
}

// Body calls the backend and writes its reply.
func (a *answering) Body(m *milter.Modifier) (milter.Response, error) {
	return a.write(a.Milter.Body(m))
}

func (a *answering) write(r milter.Response, err error) (milter.Response, error) {
	if r == nil || err != nil {
		return nil, err
	}
	reply := r.Response()
	head := [headSize]byte{lengthSize: reply.Code}
	binary.BigEndian.PutUint32(head[:], uint32(1+len(reply.Data)))
	_, err = a.conn.Write(append(head[:], reply.Data...))
	return nil, err
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
