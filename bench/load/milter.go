package load

import (
	"context"
	"errors"
	"fmt"

	"tlsratchet/bench/measure"
	"tlsratchet/internal/mtatest"
)

// ErrAnswer: the milter said something else than it should.
var ErrAnswer = errors.New("not the answer expected")

// Milter is a load of milter sessions.
type Milter struct {
	Shape
	// Socket is the path of the milter's unix socket.
	Socket string
	// Mails are taken in turn, one for all messages of a session.
	Mails []mtatest.Message
	// Ends is the event whose answer, accept, must end each message: 'M' for
	// MAIL, 'E' for the end of message.
	Ends byte
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
	m := &l.Mails[n%len(l.Mails)]
	var r mtatest.Result
	for range l.Length {
		err := s.Run(m, &r)
		t.stop()
		if err == nil {
			err = l.check(&r)
		}
		if err != nil {
			return errors.Join(err, s.Close())
		}
	}
	return s.Close()
}

func (l *Milter) check(r *mtatest.Result) error {
	if r.End.Event == l.Ends && r.End.Code == 'a' {
		return nil
	}
	return fmt.Errorf("%w: %q to %q, want accept to %q", ErrAnswer, r.End, r.End.Event, l.Ends)
}
