package daemon

import (
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"

	"tlsratchet/internal/config"
)

// restoreSockets listens again where the file of a socket was deleted: the old
// one answers nobody any more.
func (d *Daemon) restoreSockets() {
	open := func(l config.Listener) ([]net.Listener, error) { return listen(d.atStart, []config.Listener{l}) }
	d.restore(d.atStart.Listen, open, d.server.Serve)
	if d.policy != nil && d.policy.server != nil {
		d.restore(d.atStart.PolicyService.Listen, open, d.policy.server.Serve)
	}
	if d.sending != nil {
		d.restore(d.atStart.OutboundListen(), open, d.sending.server.Serve)
	}
	if server := d.admin.Load(); server != nil {
		d.restore([]config.Listener{{Network: config.Unix, Address: d.atStart.AdminSocket()}},
			func(config.Listener) ([]net.Listener, error) { return d.listenAdmin(d.atStart) },
			func(l ...net.Listener) error { return serveHTTP(server, l[0]) })
	}
}

func (d *Daemon) restore(where []config.Listener, open func(config.Listener) ([]net.Listener, error), serve func(...net.Listener) error) {
	for _, l := range where {
		if l.Network != config.Unix {
			continue
		}
		if _, err := os.Stat(l.Address); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		listeners, err := open(l)
		if err != nil {
			d.log.Error("could not listen again on a deleted socket", "listen", l.Address, "error", err)
			continue
		}
		d.log.Warn("the socket file was deleted; listening again", "listen", l.Address)
		go func() {
			if err := serve(listeners...); err != nil {
				d.log.Error("a listener failed", "error", err)
			}
		}()
	}
}

// serveHTTP serves until Shutdown, which is no error.
func serveHTTP(server *http.Server, l net.Listener) error {
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
