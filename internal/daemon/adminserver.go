package daemon

import (
	"net/http"
	"net/http/pprof"
	"time"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
	"tlsratchet/milter/wire"
)

// adminMode lets the owner and the group of the admin socket in.
const adminMode = 0o660

// addAdmin opens the operators' socket. Mail doesn't need it.
func (d *Daemon) addAdmin(cfg *config.Config) error {
	if cfg.AdminSocket() == "" {
		return nil
	}
	group, err := groupID(cfg, "admin.group", cfg.Admin.Group)
	if err != nil {
		d.log.Error("admin socket unavailable", "error", err)
		return nil
	}
	if w := adminUnreachable(cfg, group); w != nil {
		d.log.Warn("the group of the admin socket can't reach it", "reason", w)
	}
	server := &http.Server{Handler: d.adminHandler(), ReadHeaderTimeout: 10 * time.Second, ConnContext: admin.ConnContext}
	where := wire.Spec{Network: wire.NetworkUnix, Address: cfg.AdminSocket()}
	return d.add(httpDoor("admin socket", server, where, wire.ListenOptions{Mode: adminMode, Group: group}))
}

// adminHandler is the operations, and the profiles of the process.
func (d *Daemon) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/", admin.Handler(d.operators().Admin()))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// operators is what socket and page work on.
func (d *Daemon) operators() *admin.Local {
	local := &admin.Local{
		Memory: d.whole(), History: d.config.Load().History, Rules: d.rulesFor, Now: time.Now, Log: d.log, Book: d.watch.book, CircuitBreaker: d.watch.breaker.Breaker,
		Listeners: func() []string { return d.listening },
		Acted: func() {
			d.watch.unpinned(d.histories.Load)
			d.watch.breaker.changed()
		},
	}
	if d.prover != nil {
		local.Senders = d.prover
	}
	if d.sending != nil {
		local.Sending = d.sending
	}
	return local
}
