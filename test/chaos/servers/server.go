package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/valkey-io/valkey-go"

	"tlsratchet/test/apt"
)

// Server is a real server on loopback, with its files in a folder of its own.
type Server struct {
	Kind Kind
	// Addr is host:port, and stays the same over restarts.
	Addr string

	root, dir string
	args      []string
	mu        sync.Mutex
	cmd       *exec.Cmd
	gone      chan struct{}
	output    bytes.Buffer
	client    valkey.Client // ours, to ask and command it
}

// Start runs a server with its files in dir, which must exist, and settings as
// on its command line ("--maxmemory", "2mb"). It keeps nothing over restarts
// unless the settings say so. Call Stop when done.
func Start(kind Kind, dir string, settings ...string) (*Server, error) {
	root, err := Fetch(kind)
	if err != nil {
		return nil, err
	}
	for tries := 1; ; tries++ {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		_, port, _ := net.SplitHostPort(addr)
		s := &Server{Kind: kind, Addr: addr, root: root, dir: dir}
		s.args = append([]string{"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "", "--appendonly", "no"}, settings...)
		if err := s.Restart(); !errors.Is(err, errEnded) || tries == 5 {
			return s, err
		}
		// somebody was quicker to take the port
	}
}

// StartSentinel runs a Sentinel that watches master under the name "mx", and
// makes a replica master five seconds after it went.
func StartSentinel(master *Server, dir string) (*Server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	_, watched, _ := net.SplitHostPort(master.Addr)
	s := &Server{Kind: master.Kind, Addr: addr, root: master.root, dir: dir}
	config := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor mx 127.0.0.1 %s 1\n"+
		"sentinel down-after-milliseconds mx 5000\nsentinel failover-timeout mx 2000\n", port, dir, watched)
	if err := os.WriteFile(s.Path("sentinel.conf"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	s.args = []string{s.Path("sentinel.conf"), "--sentinel"}
	return s, s.Restart()
}

// freeAddr returns an address on loopback that was free just now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Restart starts the server again after Kill or Stop.
func (s *Server) Restart() error {
	cmd, gone := apt.Command(s.root, program(s.Kind), s.args...), make(chan struct{})
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, &s.output, &s.output
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait(); close(gone) }()
	s.mu.Lock()
	s.cmd, s.gone = cmd, gone
	s.mu.Unlock()
	if err := s.await(); err != nil {
		s.Stop()
		return fmt.Errorf("%s-server doesn't answer: %w\n%s", s.Kind, err, s.output.String())
	}
	return nil
}

// patience is for a machine that is busy.
const patience = time.Minute

var errEnded = errors.New("it ended")

// await waits until it answers, were it only to refuse us.
func (s *Server) await() (err error) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		select {
		case <-s.gone:
			return errEnded
		default:
		}
		var c net.Conn
		if c, err = net.DialTimeout("tcp", s.Addr, patience); err == nil {
			b := make([]byte, 1)
			_ = c.SetDeadline(time.Now().Add(patience))
			_, _ = c.Write([]byte("PING\r\n"))
			_, err = c.Read(b)
			c.Close()
			if err == nil {
				return nil
			}
		}
	}
	return err
}

// URL returns the address as an operator writes it.
func (s *Server) URL() string { return "valkey://" + s.Addr }

// Signal sends it a signal: SIGSTOP, SIGCONT.
func (s *Server) Signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.cmd.Process.Signal(sig)
}

// Kill ends it by SIGKILL, without a shutdown.
func (s *Server) Kill() {
	s.Signal(syscall.SIGKILL)
	<-s.gone
}

// Stop ends it. Stopping it again is harmless.
func (s *Server) Stop() {
	s.mu.Lock()
	client := s.client
	s.client = nil
	s.mu.Unlock()
	if client != nil {
		client.Close()
	}
	s.Kill()
}

// Do sends it one command, and returns the answer as text.
func (s *Server) Do(args ...string) (string, error) {
	client, err := s.connect()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r := client.Do(ctx, client.B().Arbitrary(args...).Build())
	if text, err := r.ToString(); err == nil || valkey.IsValkeyNil(err) {
		return text, nil
	}
	if n, err := r.AsInt64(); err == nil {
		return fmt.Sprint(n), nil
	}
	return "", r.Error()
}

func (s *Server) connect() (valkey.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client, nil
	}
	var err error
	s.client, err = valkey.NewClient(valkey.ClientOption{
		InitAddress: []string{s.Addr}, DisableCache: true, ForceSingleClient: true, PipelineMultiplex: -1,
		Dialer: net.Dialer{Timeout: patience}, ConnWriteTimeout: patience,
	})
	return s.client, err
}

// Path returns a file in the server's folder.
func (s *Server) Path(name string) string { return filepath.Join(s.dir, name) }

// Forget removes what it saved, so that it restarts empty.
func (s *Server) Forget() error {
	return errors.Join(os.RemoveAll(s.Path("dump.rdb")), os.RemoveAll(s.Path("appendonlydir")))
}
