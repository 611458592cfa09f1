package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tlsratchet/internal/config"
	"tlsratchet/milter/wire"
)

// door is a server, and the sockets that lead to it.
type door struct {
	// name is what log lines call it.
	name  string
	where []wire.Spec
	// look is that of its unix sockets.
	look wire.ListenOptions
	// mail: Postfix needs an answer here. The daemon does not run without such a
	// door, and stops with it.
	mail bool
	// serve serves until stop is called. stop waits for what is under way until its
	// context ends, then cuts it off.
	serve func(...net.Listener) error
	stop  func(context.Context) error

	listeners []net.Listener // that were open at the start
}

// The names of the doors that Postfix asks.
const milterDoor, policyDoor, outboundDoor = "milter", "policy service", "outbound listener"

// httpDoor serves HTTP.
func httpDoor(name string, server *http.Server, where wire.Spec, look wire.ListenOptions) *door {
	return &door{
		name: name, where: []wire.Spec{where}, look: look,
		serve: func(l ...net.Listener) error {
			if err := server.Serve(l[0]); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
		stop: func(ctx context.Context) error {
			if server.Shutdown(ctx) != nil {
				return server.Close()
			}
			return nil
		},
	}
}

// add opens the sockets of a door. Where a door is not for mail, the daemon goes
// on without a socket that can't be had.
func (d *Daemon) add(o *door) error {
	d.doors = append(d.doors, o)
	for _, l := range o.where {
		opened, err := o.open(l)
		switch {
		case err == nil:
			d.listening = append(d.listening, l.String())
		case o.mail:
			return err
		default:
			d.log.Error(o.name+" unavailable", "listen", l.String(), "error", err)
		}
		o.listeners = append(o.listeners, opened...)
	}
	return nil
}

// handOver takes the unix sockets with a name from those that systemd passed: they
// are another door's.
func (o *door) handOver(name string) (passed []net.Listener) {
	o.listeners = slices.DeleteFunc(o.listeners, func(l net.Listener) bool {
		at := wire.Spec{Network: wire.NetworkUnix, Address: l.Addr().String()}
		is := l.Addr().Network() == at.Network && filepath.Base(at.Address) == name && !slices.Contains(o.where, at)
		if is {
			passed = append(passed, l)
		}
		return is
	})
	return passed
}

// hangUp closes each connection to sockets that systemd passed for a door that is
// switched off. systemd keeps them open: whoever asks there would wait.
func (d *Daemon) hangUp(passed []net.Listener) {
	for _, l := range passed {
		server := &http.Server{ConnState: func(c net.Conn, _ http.ConnState) { c.Close() }}
		o := httpDoor("switched off", server, wire.Spec{}, wire.ListenOptions{})
		o.listeners = []net.Listener{l}
		d.doors = append(d.doors, o)
	}
}

func (o *door) open(l wire.Spec) ([]net.Listener, error) {
	if err := makeDefaultFolder(l.Address, config.DefaultSocket, 0o755); err != nil {
		return nil, err
	}
	return wire.Listen(l, o.look)
}

// serve serves a door. Where one for mail fails, the daemon stops.
func (d *Daemon) serve(o *door, listeners []net.Listener) {
	if len(listeners) == 0 {
		return
	}
	err := o.serve(listeners...)
	if err == nil {
		return
	}
	d.log.Error("a listener failed", "door", o.name, "error", err)
	if o.mail {
		select {
		case d.failed <- fmt.Errorf("serve: %w", err):
		default: // it stops already
		}
	}
}

// restoreSockets listens where the file of a socket is not there: it was deleted,
// and the old one answers nobody any more, or it could not be had at the start.
func (d *Daemon) restoreSockets() {
	for _, o := range d.doors {
		for _, l := range o.where {
			if _, err := os.Stat(l.Address); l.Network != wire.NetworkUnix || !errors.Is(err, fs.ErrNotExist) {
				continue
			}
			listeners, err := o.open(l)
			if err != nil {
				d.log.Error("could not replace a missing socket", "listen", l.Address, "error", err)
				continue
			}
			d.log.Warn("the socket was missing; listening on a new one", "listen", l.Address)
			d.running.Go(func() { d.serve(o, listeners) })
		}
	}
}

// drain stops the doors for mail: sessions in the middle of a message get their
// answers within limits.drain. The others stop after them, within a second.
func (d *Daemon) drain(ctx context.Context) error {
	within := d.atStart.Limits.Drain
	err := d.stop(ctx, within, true)
	if errors.Is(err, context.DeadlineExceeded) {
		d.log.Warn("sessions were cut off at the end of the drain", "drain", within.String())
		err = nil
	}
	if err := d.stop(ctx, time.Second, false); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		d.log.Warn("could not stop serving", "error", err)
	}
	return err
}

func (d *Daemon) stop(ctx context.Context, within time.Duration, mail bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	errs := make([]error, len(d.doors))
	var all sync.WaitGroup
	for i, o := range d.doors {
		if o.mail == mail {
			all.Go(func() { errs[i] = o.stop(ctx) })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}
