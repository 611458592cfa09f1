package status

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tlsratchet/internal/clean"
)

// ServerOptions are what the server is made of.
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

const (
	maxHeader  = 16 << 10
	maxScrapes = 4
)

// NewServer returns the HTTP server of metrics and page. The error says that
// the address is none.
func NewServer(o ServerOptions) (*http.Server, error) {
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
	return &http.Server{
		Handler:           hosts.guard(mux),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeader,
		// What clients do wrong is theirs.
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}, nil
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
