package servers

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// Fault is what can happen to a server, or to the network before it.
type Fault struct {
	Name string
	// Settings are what the server must be started with.
	Settings []string
	// Silent: nothing shows it but that no answer comes.
	Silent bool
	// Begin and End are its two ends.
	Begin, End func(*Server, *Proxy) error
}

// Faults returns the faults that hosts must live with.
func Faults() []Fault {
	return []Fault{
		{
			Name: "killed (-9), back with its file", Settings: []string{"--appendonly", "yes", "--appendfsync", "always"},
			Begin: func(s *Server, _ *Proxy) error { s.Kill(); return nil },
			End:   func(s *Server, _ *Proxy) error { return s.Restart() },
		}, {
			Name: "killed (-9), back with an old file", Settings: []string{"--dbfilename", "dump.rdb"},
			Begin: func(s *Server, _ *Proxy) error { s.Kill(); return nil },
			End:   func(s *Server, _ *Proxy) error { return s.Restart() },
		}, {
			Name:  "restarted empty",
			Begin: func(s *Server, _ *Proxy) error { s.Kill(); return s.Forget() },
			End:   func(s *Server, _ *Proxy) error { return s.Restart() },
		}, {
			Name: "stopped (SIGSTOP)", Silent: true,
			Begin: func(s *Server, _ *Proxy) error { s.Signal(syscall.SIGSTOP); return nil },
			End:   func(s *Server, _ *Proxy) error { s.Signal(syscall.SIGCONT); return nil },
		}, {
			Name: "partitioned (silent network)", Silent: true,
			Begin: func(_ *Server, p *Proxy) error { p.Partition(); return nil },
			End:   func(_ *Server, p *Proxy) error { p.Heal(); return nil },
		}, {
			Name:  "out of memory, evicting",
			Begin: func(s *Server, _ *Proxy) error { return s.evict() },
			End:   func(s *Server, _ *Proxy) error { return s.all("CONFIG SET maxmemory 0") },
		}, {
			Name:  "out of memory, refusing",
			Begin: func(s *Server, _ *Proxy) error { return s.all("CONFIG SET maxmemory 1") },
			End:   func(s *Server, _ *Proxy) error { return s.all("CONFIG SET maxmemory 0") },
		}, {
			Name:  "read-only (a replica, after a failover)",
			Begin: func(s *Server, _ *Proxy) error { return s.all("REPLICAOF 127.0.0.1 1") },
			End:   func(s *Server, _ *Proxy) error { return s.all("REPLICAOF NO ONE") },
		},
	}
}

// all sends commands, each a line of words.
func (s *Server) all(commands ...string) error {
	for _, c := range commands {
		if _, err := s.Do(strings.Fields(c)...); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	return nil
}

// evict makes the server throw away what others keep there.
func (s *Server) evict() error {
	info, err := s.Do("INFO", "memory")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	used, err := strconv.Atoi(strings.TrimSpace(rest[:strings.Index(rest+"\n", "\n")]))
	if err != nil {
		return err
	}
	if err := s.all("CONFIG SET maxmemory-policy allkeys-lru", fmt.Sprintf("CONFIG SET maxmemory %d", used+1<<18)); err != nil {
		return err
	}
	for i := range 1000 { // ten times the room that there is
		if _, err := s.Do("SET", fmt.Sprintf("junk%d", i), strings.Repeat("x", 4096)); err != nil && !strings.Contains(err.Error(), "OOM") {
			return errors.Join(errors.New("filling it"), err)
		}
	}
	return nil
}
