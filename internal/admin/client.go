package admin

import (
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
	"strconv"
	"syscall"

	"tlsratchet/internal/incident"
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

// ask sends a request and returns the body of an answer that is no failure.
func (c *Client) ask(ctx context.Context, method, path string, v url.Values, body io.Reader) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://tlsratchet/v1/"+path+"?"+v.Encode(), body)
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

// Peers implements [Admin].
func (c *Client) Peers(ctx context.Context, q Query) iter.Seq2[Row, error] {
	v := url.Values{}
	for name, on := range map[string]bool{"pinned": q.Pinned, "released": q.Released, "downgraded": q.Downgraded, "addresses": q.Addresses} {
		if on {
			v.Set(name, "1")
		}
	}
	if q.Leveled {
		v.Set("level", q.Level.String())
	}
	if q.Kind != 0 {
		v.Set("kind", q.Kind.String())
	}
	if q.Below != "" {
		v.Set("below", q.Below)
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return many[Row](c.ask(ctx, http.MethodGet, "peers", v, nil))
}

// Summary implements [Admin].
func (c *Client) Summary(ctx context.Context) (Summary, error) {
	return one[Summary](c.ask(ctx, http.MethodGet, "summary", nil, nil))
}

// Peer implements [Admin].
func (c *Client) Peer(ctx context.Context, id tlsstate.Identity) (Detail, error) {
	return one[Detail](c.ask(ctx, http.MethodGet, "peer", url.Values{"identity": {id.String()}}, nil))
}

// Explain implements [Admin].
func (c *Client) Explain(ctx context.Context, q Question) (Answer, error) {
	return one[Answer](c.ask(ctx, http.MethodGet, "explain", url.Values{"name": {q.Name}, "client": {q.Client}, "tls": {q.TLS}, "from": {q.From}}, nil))
}

// Do implements [Admin].
func (c *Client) Do(ctx context.Context, a Act) (Detail, error) {
	return submit[Detail](ctx, c, "act", a)
}

// Tally implements [Admin].
func (c *Client) Tally(ctx context.Context) (incident.Tally, error) {
	return one[incident.Tally](c.ask(ctx, http.MethodGet, "tally", nil, nil))
}

// Incidents implements [Admin].
func (c *Client) Incidents(ctx context.Context) ([]incident.Incident, error) {
	return one[[]incident.Incident](c.ask(ctx, http.MethodGet, "incidents", nil, nil))
}

// submit sends an act, and returns what the daemon makes of it.
func submit[V any](ctx context.Context, c *Client, where string, act any) (v V, err error) {
	b, err := json.Marshal(act)
	if err != nil {
		return v, err
	}
	return one[V](c.ask(ctx, http.MethodPost, where, nil, bytes.NewReader(b)))
}

// Breaker implements [Admin].
func (c *Client) Breaker(ctx context.Context) (ratchet.BreakerState, error) {
	return one[ratchet.BreakerState](c.ask(ctx, http.MethodGet, "breaker", nil, nil))
}

// SetBreaker implements [Admin].
func (c *Client) SetBreaker(ctx context.Context, o Override) (ratchet.BreakerState, error) {
	return submit[ratchet.BreakerState](ctx, c, "breaker", o)
}

// Export implements [Admin].
func (c *Client) Export(ctx context.Context) iter.Seq2[Line, error] {
	return many[Line](c.ask(ctx, http.MethodGet, "export", nil, nil))
}

// Import implements [Admin]. A line that can't be read ends it before it is
// sent; those before it are merged.
func (c *Client) Import(ctx context.Context, act, who string, lines iter.Seq2[Line, error]) (Imported, error) {
	r, w := io.Pipe()
	var wrong error // read after the writer has ended
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wrong = send(w, lines)
		w.CloseWithError(wrong)
	}()
	done, err := one[Imported](c.ask(ctx, http.MethodPost, "import", url.Values{"act": {act}, "who": {who}}, r))
	r.Close() // ends the writer, if the daemon stopped reading
	<-ended
	if wrong != nil && !errors.Is(wrong, io.ErrClosedPipe) {
		return done, wrong
	}
	return done, err
}

func send(w io.Writer, lines iter.Seq2[Line, error]) error {
	out := json.NewEncoder(w)
	for line, err := range lines {
		if err == nil {
			err = out.Encode(line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
