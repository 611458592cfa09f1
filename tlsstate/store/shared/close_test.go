package shared_test

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"tlsratchet/test/chaos/servers"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

// What changed a moment before the end is sent.
func TestCloseSends(t *testing.T) {
	o := patient(prefix())
	mx1 := newHost(t, steady[servers.Valkey].URL(), o).up()
	mx1.seesDays(peerOf(1), 5)
	if err := mx1.Close(); err != nil {
		t.Fatal(err)
	}
	mx2 := newHost(t, steady[servers.Valkey].URL(), o).up()
	if mx2.Refresh(0, peerOf(1)); !mx2.holds(peerOf(1)) {
		t.Error("it was not sent")
	}
}

// A stuck server, or none, doesn't keep a daemon from stopping; what it could
// not send it sends after its next start.
func TestCloseWithoutServer(t *testing.T) {
	for name, harm := range map[string]func(*servers.Server){
		"stopped": func(s *servers.Server) { s.Signal(syscall.SIGSTOP) },
		"killed":  func(s *servers.Server) { s.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			s := own(t, servers.Redis)
			file := t.TempDir() + "/history.db"
			o := shared.Options{URL: s.URL(), Prefix: prefix(), Now: today.Time, Policy: rule}
			mx1 := onFile(t, file, o)
			if _, err := mx1.Update(peerOf(1), netip.Addr{}, today, func(tlsstate.History) tlsstate.History { return tlsstate.History{} }); err != nil {
				t.Fatal(err)
			}
			harm(s)
			h := &host{Store: mx1, t: t}
			h.seesDays(peerOf(1), 5)
			if err := mx1.Close(); err != nil {
				t.Fatal(err)
			}
			if mx1.Refresh(0, peerOf(1)) || mx1.Close() != nil {
				t.Error("it is not closed")
			}
			s.Signal(syscall.SIGCONT)
			if name == "killed" {
				if err := s.Restart(); err != nil {
					t.Fatal(err)
				}
			}
			again := onFile(t, file, o)
			defer again.Close()
			(&host{Store: again, t: t, log: &journal{}}).up()
			mx2 := newHost(t, s.URL(), patient(o.Prefix)).up()
			if mx2.Refresh(0, peerOf(1)); !mx2.holds(peerOf(1)) {
				t.Error("it was not sent after the next start")
			}
		})
	}
}

func onFile(t *testing.T, path string, o shared.Options) *shared.Store {
	t.Helper()
	file, err := store.Open(path, store.Options{ReadTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	s, err := shared.New(file, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Who waits for a flush waits no longer than he wants to.
func TestFlushGivesUp(t *testing.T) {
	s := own(t, servers.Valkey)
	mx1 := newHost(t, s.URL(), shared.Options{Prefix: prefix()}).up()
	s.Signal(syscall.SIGSTOP)
	defer s.Signal(syscall.SIGCONT)
	mx1.seesDays(peerOf(1), 5)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := mx1.Flush(ctx); !errors.Is(err, shared.ErrAway) && !errors.Is(err, context.Canceled) {
		t.Errorf("Flush: %v", err)
	}
}
