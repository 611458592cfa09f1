package load

import (
	"context"
	"errors"
	"fmt"

	"tlsratchet/test/bench/measure"
	"tlsratchet/test/mtatest"
)

// ErrAnswer: the milter did not answer as it should.
var ErrAnswer = errors.New("not the answer expected")

// Milter is a load of milter sessions.
type Milter struct {
	Shape
	// Socket is the path of the milter's unix socket.
	Socket string
	// Mails are taken in turn, one for all messages of a session.
	Mails []mtatest.Message
	// Ends is the event whose answer, accept, must end each message: 'M' for
	// MAIL, 'R' for RCPT, 'E' for the end of message.
	Ends byte
	// Rare are taken in turn for every Every-th session instead, where Every is
	// not 0. Accept must end them at the end of message.
	Rare  []mtatest.Message
	Every int
}

// Run runs the load once. The wait of a session's first message begins with
// its connection.
func (l Milter) Run(ctx context.Context) (measure.Run, error) { return l.run(ctx, l.session) }

func (l *Milter) session(ctx context.Context, n int, t *timer) error {
	t.start()
	s, err := mtatest.Dial(ctx, "unix", l.Socket, mtatest.Options{})
	if err != nil {
		return err
	}
	m, ends := l.mail(n)
	var r mtatest.Result
	for range l.Length {
		err := s.Run(m, &r)
		t.stop()
		if err == nil {
			err = check(&r, ends)
		}
		if err != nil {
			return errors.Join(err, s.Close())
		}
	}
	return s.Close()
}

// mail returns the message of a session, and the event that ends it.
func (l *Milter) mail(n int) (m *mtatest.Message, ends byte) {
	if l.Every > 0 && n%l.Every == 0 {
		return &l.Rare[n/l.Every%len(l.Rare)], 'E'
	}
	return &l.Mails[n%len(l.Mails)], l.Ends
}

func check(r *mtatest.Result, ends byte) error {
	if r.End.Event == ends && r.End.Code == 'a' {
		return nil
	}
	return fmt.Errorf("%w: %q to %q, want accept to %q", ErrAnswer, r.End, r.End.Event, ends)
}
