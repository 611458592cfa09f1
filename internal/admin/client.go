package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// ErrNoDaemon: nobody listens on the socket. The memory may be opened as a file.
var ErrNoDaemon = errors.New("no daemon answers")

// client asks a daemon on its unix socket.
type client struct {
	http   *http.Client
	socket string
}

// Dial returns the operations of the daemon on a unix socket. The error wraps
// [ErrNoDaemon] where there is none, and says who may connect where we may not.
func Dial(ctx context.Context, socket string) (*Admin, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	switch {
	case err == nil:
		conn.Close()
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w on %s", ErrNoDaemon, socket)
	case errors.Is(err, fs.ErrPermission):
		return nil, Denied(socket)
	default:
		return nil, fmt.Errorf("the daemon's socket: %w", err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) }
	c := &client{http: &http.Client{Transport: &http.Transport{DialContext: dial}}, socket: socket}
	a := &Admin{Close: func() error {
		c.http.CloseIdleConnections()
		return nil
	}}
	for name, o := range a.operations() {
		o.ask(c, name)
	}
	return a, nil
}

// send is [Admin.Import]. A line that can't be read ends it before it is sent;
// those before it are merged.
func (c *client) send(ctx context.Context, act, who string, lines iter.Seq2[Line, error]) (Imported, error) {
	r, w := io.Pipe()
	var wrong error // read after the writer has ended
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wrong = WriteLines(w, lines)
		w.CloseWithError(wrong)
	}()
	v := url.Values{"act": {act}, "who": {who}}
	done, err := value[Imported](c.request(ctx, "import?"+v.Encode(), r))
	r.Close() // ends the writer, if the daemon stopped reading
	<-ended
	if wrong != nil && !errors.Is(wrong, io.ErrClosedPipe) {
		return done, wrong
	}
	return done, err
}

// WriteLines writes a list as it comes, an object of JSON a line, up to the first
// error.
func WriteLines[V any](w io.Writer, list iter.Seq2[V, error]) error {
	out := json.NewEncoder(w)
	for v, err := range list {
		if err == nil {
			err = out.Encode(v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ask sends a question and returns the answer.
func (c *client) ask(ctx context.Context, what string, question any) (io.ReadCloser, error) {
	b, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	return c.request(ctx, what, bytes.NewReader(b))
}

// request returns the body of an answer that is no failure.
func (c *client) request(ctx context.Context, what string, body io.Reader) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://tlsratchet/v1/"+what, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.unanswered(err)
	}
	if resp.StatusCode == http.StatusOK {
		return answering{resp.Body, c.socket}, nil
	}
	defer resp.Body.Close()
	var f failure
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxLine)).Decode(&f); err != nil || f.Message == "" {
		return nil, fmt.Errorf("the daemon on %s answers %s", c.socket, resp.Status)
	}
	return nil, f
}

// unanswered returns the error for a request without an answer.
func (c *client) unanswered(err error) error {
	if wrapped := new(url.Error); errors.As(err, &wrapped) {
		err = wrapped.Err // what it adds are a method and a made-up address
	}
	if isGone(err) {
		return fmt.Errorf("the daemon on %s went away before it answered: %w", c.socket, err)
	}
	return fmt.Errorf("asking the daemon on %s: %w", c.socket, err)
}

// answering is the body of a daemon's answer, which may go away in the middle
// of it: that is an error, and not an end.
type answering struct {
	io.ReadCloser
	socket string
}

// Read implements [io.Reader].
func (a answering) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if isGone(err) && err != io.EOF {
		err = fmt.Errorf("the daemon on %s went away in the middle of its answer, this is not all of it: %w", a.socket, err)
	}
	return n, err
}

// isGone reports whether an error means that the other end has closed.
func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// value reads an answer of one value.
func value[V any](body io.ReadCloser, err error) (v V, _ error) {
	if err != nil {
		return v, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&v); err != nil {
		return v, fmt.Errorf("reading the answer: %w", err)
	}
	return v, nil
}

// lines reads an answer that is a list, whose last line may be a failure. A line
// that was cut is none.
func lines[V any](body io.ReadCloser, err error) iter.Seq2[V, error] {
	return func(yield func(v V, err error) bool) {
		var v V
		if err != nil {
			yield(v, err)
			return
		}
		defer body.Close()
		r := bufio.NewReader(body)
		for {
			b, err := r.ReadBytes('\n')
			if err == io.EOF {
				return
			}
			var v V
			if err == nil {
				err = result(b, &v)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// result reads one line: a failure's begins with its error.
func result[V any](b []byte, v *V) error {
	if !bytes.HasPrefix(b, []byte(`{"error":`)) {
		return json.Unmarshal(b, v)
	}
	var f failure
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	return f
}
