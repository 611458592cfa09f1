package wire

import (
	"encoding/binary"
	"net"

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
	r, err := a.Milter.MailFrom(from, m)
	return a.write(milter.CodeMail, r, err)
}

// RcptTo calls the backend and writes its reply.
func (a *answering) RcptTo(to string, m *milter.Modifier) (milter.Response, error) {
	r, err := a.Milter.RcptTo(to, m)
	return a.write(milter.CodeRcpt, r, err)
}

// Body calls the backend and writes its reply.
func (a *answering) Body(m *milter.Modifier) (milter.Response, error) {
	r, err := a.Milter.Body(m)
	return a.write(milter.CodeEOB, r, err)
}

func (a *answering) write(cmd milter.Code, r milter.Response, err error) (milter.Response, error) {
	if r == nil || err != nil {
		return nil, err
	}
	reply := r.Response()
	if endsMessage(cmd, milter.ActionCode(reply.Code)) {
		a.conn.Busy = false
	}
	head := [headSize]byte{lengthSize: reply.Code}
	binary.BigEndian.PutUint32(head[:], uint32(1+len(reply.Data)))
	_, err = a.conn.Write(append(head[:], reply.Data...))
	return nil, err
}
