package status

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"tlsratchet/internal/clean"
)

// ServerOptions are what a [Server] is made of.
type ServerOptions struct {
	// Address is where it listens, host:port; Names are host names that it may
	// be called by beside that and localhost.
	Address string
	Names   []string
	// Metrics are at /metrics. Required.
	Metrics *Metrics
	// Page is what the page shows. Required.
	Page Page
	// Alive and Ready answer /healthz and /readyz: nil, or what is wrong. They
	// must not block for long. Required.
	Alive, Ready func() error
	// Log gets a line for what goes wrong. Required.
	Log *slog.Logger
}

// Server is the HTTP server of metrics and page.
type Server struct{ http *http.Server }

const (
	maxConnections = 64
	maxHeader      = 16 << 10
	maxScrapes     = 4
)

// NewServer returns a server that is ready to serve. The error says that the
// address is none.
func NewServer(o ServerOptions) (*Server, error) {
	hosts, err := newHosts(o.Address, o.Names)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(o.Metrics.registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		ErrorHandling:       promhttp.ContinueOnError,
		ErrorLog:            slog.NewLogLogger(o.Log.Handler(), slog.LevelError),
		MaxRequestsInFlight: maxScrapes,
		Timeout:             10 * time.Second,
	}))
	mux.Handle("/healthz", answer(o.Alive))
	mux.Handle("/readyz", answer(o.Ready))
	o.Page.register(mux, o.Log)
	return &Server{&http.Server{
		Handler:           hosts.guard(mux),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeader,
		// What clients do wrong is theirs.
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}}, nil
}

// Handler returns what the server answers with.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Serve serves on l, 64 connections at once, until Shutdown, and then returns
// nil. It closes l.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(netutil.LimitListener(l, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("status page: %w", err)
	}
	return nil
}

// Shutdown waits for answers under way until ctx ends, then cuts them off.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// answer is 200 and ok, or 503 and what is wrong.
func answer(well func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := well(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, clean.Text(err.Error(), maxName))
			return
		}
		fmt.Fprintln(w, "ok")
	})
}
