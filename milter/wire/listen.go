package wire

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
)

// Errors of [Listen], wrapped with the path. None of them touched the file.
var (
	// ErrInUse: somebody answers on the socket; another daemon runs there.
	ErrInUse = errors.New("another process answers on this socket")
	// ErrNotSocket: the path is a file of another kind; choose another path
	// or remove it by hand.
	ErrNotSocket = errors.New("this file is not a socket")
	// ErrNoSystemdSockets: the process was not started by a .socket unit.
	ErrNoSystemdSockets = errors.New("systemd passed no stream sockets; is there a .socket unit for this service, and did it start the service?")
)

// answerTime is how long a socket that already exists has to answer, if its
// listener's queue is full.
const answerTime = time.Second

// ListenOptions are what a unix socket looks like to others. They mean nothing
// to TCP and to systemd's sockets.
type ListenOptions struct {
	// Mode holds the permission bits of the socket file, such as 0o660; its
	// execute bits mean nothing.
	Mode fs.FileMode
	// Group owns the socket file if not negative: a numeric group id.
	Group int
}

// Listen opens the listeners of a spec: one, but for systemd, where it returns
// all that were passed (only once in the life of a process). A unix socket
// is never open wider than the options say, replaces a file only if that is a
// socket on which nobody answers, and is removed when its listener is closed.
func Listen(spec Spec, opts ListenOptions) ([]net.Listener, error) {
	if spec.Network == NetworkSystemd {
		return systemdListeners()
	}
	listen := func() (net.Listener, error) { return net.Listen(spec.network(), spec.Address) }
	if spec.Network == NetworkUnix {
		listen = func() (net.Listener, error) { return listenUnix(spec.Address, opts) }
	}
	ln, err := listen()
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", spec, err)
	}
	return []net.Listener{ln}, nil
}

func systemdListeners() ([]net.Listener, error) {
	passed, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("listen on systemd: %w", err)
	}
	var lns []net.Listener
	for _, ln := range passed {
		switch ln := ln.(type) {
		case nil: // what is no stream socket
		case *net.UnixListener:
			lns = append(lns, &unixListener{UnixListener: ln})
		default:
			lns = append(lns, ln)
		}
	}
	if len(lns) == 0 {
		return nil, ErrNoSystemdSockets
	}
	return lns, nil
}

func listenUnix(path string, opts ListenOptions) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	ln, err := bind(path, opts)
	if err != nil {
		return nil, err
	}
	u := &unixListener{UnixListener: ln, path: path}
	if u.made, err = os.Lstat(path); err == nil && opts.Group >= 0 {
		err = widen(path, opts)
	}
	if err != nil {
		u.Close()
		return nil, err
	}
	return u, nil
}

// removeStale makes room for a socket, if nobody needs what is there.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return ErrNotSocket
	}
	c, err := net.DialTimeout("unix", path, answerTime)
	if err == nil {
		c.Close()
		return ErrInUse
	}
	// Only a refusal proves that nobody listens: a full queue (EAGAIN) or a
	// missing permission does not.
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("a socket exists and could not be tested: %w", err)
	}
	return os.Remove(path)
}

// umaskMu guards the one umask of the process.
var umaskMu sync.Mutex

// bind creates the socket with its final mode, or, if it is to change its
// group first, for the owner alone.
func bind(path string, opts ListenOptions) (*net.UnixListener, error) {
	mode := opts.Mode.Perm()
	if opts.Group >= 0 {
		mode &= 0o600
	}
	umaskMu.Lock()
	defer umaskMu.Unlock()
	old := syscall.Umask(int(^mode & fs.ModePerm))
	defer syscall.Umask(old)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // unixListener does, and looks first
	return ln, nil
}

func widen(path string, opts ListenOptions) error {
	if err := os.Lchown(path, -1, opts.Group); err != nil {
		return err
	}
	return os.Chmod(path, opts.Mode.Perm())
}

// unixListener removes its socket file when it is closed, unless another
// process has put its own there since, or it came from systemd.
type unixListener struct {
	*net.UnixListener
	path string
	made fs.FileInfo

	mu     sync.Mutex
	second *os.File // of its descriptor, or nil
}

// Close removes the file first, so that none is left on which nobody answers.
func (u *unixListener) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.made != nil {
		if now, err := os.Lstat(u.path); err == nil && os.SameFile(now, u.made) {
			os.Remove(u.path)
		}
		u.made = nil
	}
	u.second.Close() // also where there is none
	return u.UnixListener.Close()
}
