package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
)

// operation is a field of an [Admin] over HTTP.
type operation struct {
	// serve answers a request by the field.
	serve http.HandlerFunc
	// ask makes the field ask a daemon for what has that name there.
	ask func(c *client, name string)
}

// operations are those of an Admin by their names, which follow /v1/ in a URL.
func (a *Admin) operations() map[string]operation {
	return map[string]operation{
		"peers":      list(&a.Peers),
		"export":     list(&a.export),
		"peer":       one(&a.Peer),
		"explain":    one(&a.Explain),
		"explain-to": one(&a.ExplainTo),
		"summary":    one(&a.summary),
		"incidents":  one(&a.incidents),
		"act":        one(&a.Do),
		"breaker":    one(&a.Breaker),
		"outbound":   one(&a.Outbound),
		"import":     importing(&a.Import),
	}
}

// Handler serves an [Admin] over HTTP without authentication: the socket's
// permissions decide who may connect. A question is JSON in the body; none is
// the zero one.
func Handler(a *Admin) http.Handler {
	mux := http.NewServeMux()
	for name, o := range a.operations() {
		mux.Handle("/v1/"+name, o.serve)
	}
	return mux
}

// one answers a question with one value.
func one[Q, V any](do *func(context.Context, Q) (V, error)) operation {
	return operation{
		serve: func(w http.ResponseWriter, r *http.Request) {
			q, err := question[Q](w, r)
			var v V
			if err == nil {
				v, err = (*do)(r.Context(), q)
			}
			reply(w, v, err)
		},
		ask: func(c *client, name string) {
			*do = func(ctx context.Context, q Q) (V, error) { return value[V](c.ask(ctx, name, q)) }
		},
	}
}

// flushed is after how many lines a list is sent on: the first at once, so that
// a person sees something.
const flushed = 500

// list answers a question with one object a line. The last may be a failure.
func list[Q, V any](do *func(context.Context, Q) iter.Seq2[V, error]) operation {
	return operation{
		serve: func(w http.ResponseWriter, r *http.Request) {
			q, err := question[Q](w, r)
			if err != nil {
				reply(w, nil, err)
				return
			}
			writeList(w, (*do)(r.Context(), q))
		},
		ask: func(c *client, name string) {
			*do = func(ctx context.Context, q Q) iter.Seq2[V, error] { return lines[V](c.ask(ctx, name, q)) }
		},
	}
}

func writeList[V any](w http.ResponseWriter, all iter.Seq2[V, error]) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, to := json.NewEncoder(w), http.NewResponseController(w)
	n := 0
	for line, err := range all {
		if err != nil {
			out.Encode(describe(err))
			return
		}
		if out.Encode(line) != nil {
			return // the client is gone
		}
		if n%flushed == 0 {
			to.Flush()
		}
		n++
	}
}

// importing takes a list in place of a question.
func importing(do *func(ctx context.Context, act, who string, lines iter.Seq2[Line, error]) (Imported, error)) operation {
	return operation{
		serve: func(w http.ResponseWriter, r *http.Request) {
			v := r.URL.Query()
			done, err := (*do)(r.Context(), v.Get("act"), v.Get("who"), Lines(r.Body))
			reply(w, done, err)
		},
		ask: func(c *client, _ string) { *do = c.send },
	}
}

func question[Q any](w http.ResponseWriter, r *http.Request) (q Q, err error) {
	err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLine)).Decode(&q)
	if err != nil && !errors.Is(err, io.EOF) {
		return q, errors.Join(ErrBadRequest, err)
	}
	return q, nil
}

func reply(w http.ResponseWriter, value any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		f := describe(err)
		w.WriteHeader(f.Status)
		value = f
	}
	json.NewEncoder(w).Encode(value) // the client is gone if it fails
}

// failure is an error as the daemon sends it: an answer, or the last line of a list
// that ended early.
type failure struct {
	Message string `json:"error"`
	// Status is that of HTTP: one of statuses, or 500.
	Status int `json:"status"`
}

// statuses are the errors that a command distinguishes.
var statuses = map[int]error{http.StatusNotFound: ErrUnknownPeer, http.StatusBadRequest: ErrBadRequest}

func describe(err error) failure {
	for status, kind := range statuses {
		if errors.Is(err, kind) {
			return failure{err.Error(), status}
		}
	}
	return failure{err.Error(), http.StatusInternalServerError}
}

func (f failure) Error() string { return f.Message }
func (f failure) Unwrap() error { return statuses[f.Status] }
