package daemon

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
	"tlsratchet/milter/wire"
)

// adminMode lets the owner and the group of the admin socket in.
const adminMode = 0o660

// serveAdmin serves the operators' socket until ctx ends. Mail doesn't need it:
// where it is unavailable, that is logged and the daemon goes on.
func (d *Daemon) serveAdmin(ctx context.Context, cfg *config.Config) (stop func()) {
	if cfg.AdminSocket() == "" {
		return func() {}
	}
	server, err := d.startAdmin(cfg)
	if err != nil {
		d.log.Error("admin socket unavailable", "error", err)
		return func() {}
	}
	return func() { stopHTTP(ctx, server) }
}

// stopHTTP waits a second for answers under way, then cuts them off.
func stopHTTP(ctx context.Context, server *http.Server) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		server.Close()
	}
}

func (d *Daemon) startAdmin(cfg *config.Config) (*http.Server, error) {
	listeners, err := d.listenAdmin(cfg)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: d.adminHandler(), ReadHeaderTimeout: 10 * time.Second, ConnContext: admin.ConnContext}
	d.admin.Store(server)
	go func() {
		if err := serveHTTP(server, listeners[0]); err != nil {
			d.log.Error("admin socket failed", "error", err)
		}
	}()
	return server, nil
}

// listenAdmin opens the operators' socket.
func (d *Daemon) listenAdmin(cfg *config.Config) ([]net.Listener, error) {
	group, err := adminGroup(cfg.Admin.Group)
	if err != nil {
		return nil, err
	}
	if w := adminUnreachable(cfg, group); w != "" {
		d.log.Warn("the group of the admin socket can't reach it", "reason", w)
	}
	listeners, err := wire.Listen(wire.Spec{Network: wire.NetworkUnix, Address: cfg.AdminSocket()}, wire.ListenOptions{Mode: adminMode, Group: group})
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	return listeners, nil
}

// adminHandler is the operations, and the profiles of the process.
func (d *Daemon) adminHandler() http.Handler {
	mux := http.NewServeMux()
	local := admin.NewLocal(d.whole(), d.rules, time.Now, d.log, nil).WithBreaker(d.watch.breaker.Breaker).WithBook(d.watch.book)
	local.WithOutbound(d.sending.admin())
	mux.Handle("/v1/", admin.Handler(acts{local, func() { d.watch.unpinned(d.histories.Load) }}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
