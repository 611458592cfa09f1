package status

import (
	"bytes"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/tlsstate"
)

// Page is what the page shows: functions that only read, must not block for
// long, and may be called at the same time. All are required.
type Page struct {
	// Version is that of the program.
	Version string
	// Now returns the time.
	Now func() time.Time

	// Tally returns the 64 days that end with today, Open the incidents that are
	// open, newest first, and Of all of one identity.
	Tally func(today tlsstate.Day) incident.Tally
	Open  func() []incident.Incident
	Of    func(tlsstate.Identity) []incident.Incident
	// Downgrades returns those of a day, newest first.
	Downgrades func(tlsstate.Day) []DowngradeEvent
	// Census returns the newest count of the memory.
	Census  func() Count
	Breaker func() ratchet.BreakerState
	// SelfCheck returns the newest self-check of MX; MX is "" where there is
	// none.
	SelfCheck func() selfcheck.Result
	MX        string

	// Trouble states what is wrong with the history file, a line each.
	Trouble func() string

	// Sending returns the sending side, the zero one where it is off.
	Sending func() outbound.Overview

	// Resolve returns the identity that a person means by a name, or says in
	// its error what would be right.
	Resolve func(name string) (tlsstate.Identity, error)
	Load    func(tlsstate.Identity) (tlsstate.History, error)
	// Rules are today's for a kind of identity.
	Rules   func(tlsstate.Kind) *tlsstate.Rules
	Explain func(*ratchet.Session) (ratchet.Explanation, error)
}

//go:embed page
var files embed.FS

// register puts the views on the mux.
func (p Page) register(mux *http.ServeMux, log *slog.Logger) {
	mux.HandleFunc("/{$}", p.serve(log, "overview.html", func(*http.Request) any { return p.overview() }))
	mux.HandleFunc("/incidents", p.serve(log, "incidents.html", func(*http.Request) any { return p.incidents() }))
	mux.HandleFunc("/peer", p.serve(log, "peer.html", func(r *http.Request) any { return p.peer(r.FormValue("name")) }))
	for _, asset := range []string{"style.css", "icon.svg"} {
		mux.HandleFunc("/"+asset, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "page/"+asset) })
	}
}

// frame is what every view is in.
type frame struct {
	Version string
	At      time.Time
	// View is the template's name, for the navigation.
	View string
	// Search is what is in the search field.
	Search string
	Body   any
}

// serve makes HTML of a view.
func (p Page) serve(log *slog.Logger, name string, body func(*http.Request) any) http.HandlerFunc {
	t := template.Must(template.New("frame.html").Funcs(functions).ParseFS(files, "page/frame.html", "page/parts.html", "page/"+name))
	return func(w http.ResponseWriter, r *http.Request) {
		f := frame{Version: p.Version, At: p.Now().UTC(), View: name, Search: clean.Text(r.FormValue("name"), maxName), Body: body(r)}
		var b bytes.Buffer // so that half a page is never sent
		if err := t.Execute(&b, f); err != nil {
			log.Error("could not make the page", "view", name, "error", clean.Text(err.Error(), maxName))
			http.Error(w, "the page could not be made: see the log", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = b.WriteTo(w)
	}
}
