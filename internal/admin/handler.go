package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"

	"tlsratchet/tlsstate"
)

// Handler serves an [Admin] over HTTP without authentication: the socket's
// permissions decide who may connect. A question is JSON in the body; none is
// the zero one.
func Handler(a Admin) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/peers", list(a.Peers))
	mux.HandleFunc("/v1/export", list(func(ctx context.Context, _ struct{}) iter.Seq2[Line, error] { return a.Export(ctx) }))
	mux.HandleFunc("/v1/peer", one(func(ctx context.Context, identity string) (Detail, error) {
		id, err := tlsstate.ParseIdentity(identity)
		if err != nil {
			return Detail{}, errors.Join(ErrBadRequest, err)
		}
		return a.Peer(ctx, id)
	}))
	mux.HandleFunc("/v1/explain", one(a.Explain))
	mux.HandleFunc("/v1/explain-to", one(a.ExplainTo))
	mux.HandleFunc("/v1/summary", get(a.Summary))
	mux.HandleFunc("/v1/incidents", get(a.Incidents))
	mux.HandleFunc("POST /v1/act", one(a.Do))
	mux.HandleFunc("/v1/breaker", one(a.Breaker))
	mux.HandleFunc("/v1/outbound", one(a.Outbound))
	mux.HandleFunc("POST /v1/import", func(w http.ResponseWriter, r *http.Request) {
		v := r.URL.Query()
		done, err := a.Import(r.Context(), v.Get("act"), v.Get("who"), Lines(r.Body))
		reply(w, done, err)
	})
	return mux
}

// get answers with what needs no question.
func get[V any](ask func(context.Context) (V, error)) http.HandlerFunc {
	return one(func(ctx context.Context, _ struct{}) (V, error) { return ask(ctx) })
}

// one answers with one value.
func one[Q, V any](ask func(context.Context, Q) (V, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := question[Q](w, r)
		if err != nil {
			fail(w, err)
			return
		}
		v, err := ask(r.Context(), q)
		reply(w, v, err)
	}
}

// flushed is after how many lines a list is sent on: the first at once, so that
// a person sees something.
const flushed = 500

// list answers with one object a line. The last may be a failure.
func list[Q, V any](ask func(context.Context, Q) iter.Seq2[V, error]) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := question[Q](w, r)
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		out, to := json.NewEncoder(w), http.NewResponseController(w)
		n := 0
		for line, err := range ask(r.Context(), q) {
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
}

func question[Q any](w http.ResponseWriter, r *http.Request) (q Q, err error) {
	err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLine)).Decode(&q)
	if errors.Is(err, io.EOF) && r.Method == http.MethodGet {
		return q, nil
	}
	if err != nil {
		err = errors.Join(ErrBadRequest, err)
	}
	return q, err
}

func reply[V any](w http.ResponseWriter, value V, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value) // the client is gone if it fails
}

func fail(w http.ResponseWriter, err error) {
	f := describe(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(kinds[f.Kind].status)
	json.NewEncoder(w).Encode(f)
}

// failure is the body of an answer that is an error, and the last line of a
// list that ended early.
type failure struct {
	Error string `json:"error"`
	// Kind is one of the kinds.
	Kind string `json:"kind,omitempty"`
}

// kinds are the errors that a command distinguishes.
var kinds = map[string]struct {
	status int
	err    error
}{
	"unknown": {http.StatusNotFound, ErrUnknownPeer},
	"request": {http.StatusBadRequest, ErrBadRequest},
	"":        {http.StatusInternalServerError, nil},
}

func describe(err error) failure {
	for kind, k := range kinds {
		if k.err != nil && errors.Is(err, k.err) {
			return failure{err.Error(), kind}
		}
	}
	return failure{Error: err.Error()}
}

// err is the inverse of describe.
func (f failure) err() error { return remote{f.Error, kinds[f.Kind].err} }

// remote is an error that the daemon sent as text, with its kind.
type remote struct {
	text string
	kind error
}

func (e remote) Error() string { return e.text }
func (e remote) Unwrap() error { return e.kind }
