package admin

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"strconv"

	"tlsratchet/tlsstate"
)

// failure is the body of an answer that is an error, and the last line of a
// list that ended early.
type failure struct {
	Error string `json:"error"`
	// Kind is "unknown" or "request" for the errors that a command distinguishes.
	Kind string `json:"kind,omitempty"`
}

// Handler serves an [Admin] over HTTP without authentication: the socket's
// permissions decide who may connect.
func Handler(a Admin) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/peers", func(w http.ResponseWriter, r *http.Request) {
		q, err := parseQuery(r)
		if err != nil {
			fail(w, err)
			return
		}
		stream(w, a.Peers(r.Context(), q))
	})
	mux.HandleFunc("GET /v1/summary", get(a.Summary))
	mux.HandleFunc("GET /v1/peer", func(w http.ResponseWriter, r *http.Request) {
		id, err := tlsstate.ParseIdentity(r.URL.Query().Get("identity"))
		if err != nil {
			fail(w, errors.Join(ErrBadRequest, err))
			return
		}
		d, err := a.Peer(r.Context(), id)
		reply(w, d, err)
	})
	mux.HandleFunc("GET /v1/explain", func(w http.ResponseWriter, r *http.Request) {
		v := r.URL.Query()
		answer, err := a.Explain(r.Context(), Question{Name: v.Get("name"), Client: v.Get("client"), TLS: v.Get("tls"), From: v.Get("from")})
		reply(w, answer, err)
	})
	mux.HandleFunc("POST /v1/act", post(a.Do))
	mux.HandleFunc("GET /v1/tally", get(a.Tally))
	mux.HandleFunc("GET /v1/incidents", get(a.Incidents))
	mux.HandleFunc("GET /v1/breaker", get(a.Breaker))
	mux.HandleFunc("POST /v1/breaker", post(a.SetBreaker))
	mux.HandleFunc("GET /v1/outbound", get(a.Outbound))
	mux.HandleFunc("POST /v1/outbound", post(a.SetOutbound))
	mux.HandleFunc("GET /v1/explain-to", func(w http.ResponseWriter, r *http.Request) {
		answer, err := a.ExplainTo(r.Context(), r.URL.Query().Get("destination"))
		reply(w, answer, err)
	})
	mux.HandleFunc("GET /v1/export", func(w http.ResponseWriter, r *http.Request) { stream(w, a.Export(r.Context())) })
	mux.HandleFunc("POST /v1/import", func(w http.ResponseWriter, r *http.Request) {
		v := r.URL.Query()
		done, err := a.Import(r.Context(), v.Get("act"), v.Get("who"), Lines(r.Body))
		reply(w, done, err)
	})
	return mux
}

// get answers with what needs no question.
func get[V any](ask func(context.Context) (V, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := ask(r.Context())
		reply(w, v, err)
	}
}

// post does what the body says.
func post[Q, V any](do func(context.Context, Q) (V, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&q); err != nil {
			fail(w, errors.Join(ErrBadRequest, err))
			return
		}
		v, err := do(r.Context(), q)
		reply(w, v, err)
	}
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
	f, status := describe(err), http.StatusInternalServerError
	switch f.Kind {
	case kindUnknown:
		status = http.StatusNotFound
	case kindRequest:
		status = http.StatusBadRequest
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(f)
}

const (
	kindUnknown = "unknown"
	kindRequest = "request"
)

func describe(err error) failure {
	f := failure{Error: err.Error()}
	switch {
	case errors.Is(err, ErrUnknownPeer):
		f.Kind = kindUnknown
	case errors.Is(err, ErrBadRequest):
		f.Kind = kindRequest
	}
	return f
}

// flushed is after how many lines a list is sent on: the first at once, so that
// a person sees something.
const flushed = 500

// stream writes one object a line.
func stream[V any](w http.ResponseWriter, lines iter.Seq2[V, error]) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, to := json.NewEncoder(w), http.NewResponseController(w)
	n := 0
	for line, err := range lines {
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

func parseQuery(r *http.Request) (q Query, err error) {
	v := r.URL.Query()
	q.Pinned, q.Released, q.Downgraded = v.Has("pinned"), v.Has("released"), v.Has("downgraded")
	q.Below, q.Addresses = v.Get("below"), v.Has("addresses")
	if s := v.Get("level"); s != "" {
		q.Leveled = true
		if q.Level, err = tlsstate.ParseLevel(s); err != nil {
			return q, errors.Join(ErrBadRequest, err)
		}
	}
	if s := v.Get("kind"); s != "" {
		id, err := tlsstate.ParseIdentity(s + ":x")
		if err != nil {
			return q, errors.Join(ErrBadRequest, err)
		}
		q.Kind = id.Kind
	}
	if s := v.Get("limit"); s != "" {
		if q.Limit, err = strconv.Atoi(s); err != nil || q.Limit < 0 {
			return q, errors.Join(ErrBadRequest, errors.New("limit: want a whole number"))
		}
	}
	return q, nil
}
