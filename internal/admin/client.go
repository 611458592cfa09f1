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

	"tlsratchet/internal/incident"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// ErrNoDaemon: nobody listens on the socket. The memory may be opened as a file.
var ErrNoDaemon = errors.New("no daemon answers")

// Client asks a daemon on its unix socket.
type Client struct {
	http   *http.Client
	socket string
}

// Dial returns a client of the daemon on a unix socket. The error wraps
// [ErrNoDaemon] where there is none, and says who may connect where we may not.
func Dial(ctx context.Context, socket string) (*Client, error) {
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
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial}}, socket: socket}, nil
}

// Close closes the connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Peers implements [Admin].
func (c *Client) Peers(ctx context.Context, q Query) iter.Seq2[Row, error] {
	return lines[Row](c.ask(ctx, "peers", q))
}

// Export implements [Admin].
func (c *Client) Export(ctx context.Context) iter.Seq2[Line, error] {
	return lines[Line](c.ask(ctx, "export", nil))
}

// Peer implements [Admin].
func (c *Client) Peer(ctx context.Context, id tlsstate.Identity) (Detail, error) {
	return value[Detail](c.ask(ctx, "peer", id.String()))
}

// Explain implements [Admin].
func (c *Client) Explain(ctx context.Context, q Question) (Answer, error) {
	return value[Answer](c.ask(ctx, "explain", q))
}

// ExplainTo implements [Admin].
func (c *Client) ExplainTo(ctx context.Context, destination string) (outbound.Explanation, error) {
	return value[outbound.Explanation](c.ask(ctx, "explain-to", destination))
}

// Summary implements [Admin].
func (c *Client) Summary(ctx context.Context) (Summary, error) {
	return value[Summary](c.ask(ctx, "summary", nil))
}

// Incidents implements [Admin].
func (c *Client) Incidents(ctx context.Context) ([]incident.Incident, error) {
	return value[[]incident.Incident](c.ask(ctx, "incidents", nil))
}

// Do implements [Admin].
func (c *Client) Do(ctx context.Context, a Act) (Detail, error) {
	return value[Detail](c.ask(ctx, "act", a))
}

// Breaker implements [Admin].
func (c *Client) Breaker(ctx context.Context, o Override) (ratchet.BreakerState, error) {
	return value[ratchet.BreakerState](c.ask(ctx, "breaker", o))
}

// Outbound implements [Admin].
func (c *Client) Outbound(ctx context.Context, o Override) (outbound.Overview, error) {
	return value[outbound.Overview](c.ask(ctx, "outbound", o))
}

// Import implements [Admin]. A line that can't be read ends it before it is
// sent; those before it are merged.
func (c *Client) Import(ctx context.Context, act, who string, lines iter.Seq2[Line, error]) (Imported, error) {
	r, w := io.Pipe()
	var wrong error // read after the writer has ended
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wrong = WriteLines(w, lines)
		w.CloseWithError(wrong)
	}()
	v := url.Values{"act": {act}, "who": {who}}
	done, err := value[Imported](c.request(ctx, http.MethodPost, "import?"+v.Encode(), r))
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

// ask sends a question, nil for none, and returns the answer.
func (c *Client) ask(ctx context.Context, what string, question any) (io.ReadCloser, error) {
	if question == nil {
		return c.request(ctx, http.MethodGet, what, nil)
	}
	b, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	return c.request(ctx, http.MethodPost, what, bytes.NewReader(b))
}

// request returns the body of an answer that is no failure.
func (c *Client) request(ctx context.Context, method, what string, body io.Reader) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://tlsratchet/v1/"+what, body)
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
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxLine)).Decode(&f); err != nil || f.Error == "" {
		return nil, fmt.Errorf("the daemon on %s answers %s", c.socket, resp.Status)
	}
	return nil, f.err()
}

// unanswered returns the error for a request without an answer.
func (c *Client) unanswered(err error) error {
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
	return f.err()
}
