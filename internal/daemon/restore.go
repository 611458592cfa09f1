package daemon

import (
	"errors"
	"io/fs"
	"os"

	"tlsratchet/internal/config"
)

// restoreSockets listens again where the file of a milter socket was deleted: the
// old one answers nobody any more.
func (d *Daemon) restoreSockets() {
	for _, l := range d.atStart.Listen {
		if l.Network != config.Unix {
			continue
		}
		if _, err := os.Stat(l.Address); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		listeners, err := listen(d.atStart, []config.Listener{l})
		if err != nil {
			d.log.Error("could not listen again on a deleted socket", "listen", l.Address, "error", err)
			continue
		}
		d.log.Warn("the socket file was deleted; listening again", "listen", l.Address)
		go func() {
			if err := d.server.Serve(listeners...); err != nil {
				d.log.Error("a listener failed", "error", err)
			}
		}()
	}
}
