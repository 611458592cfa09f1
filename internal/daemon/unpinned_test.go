package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/loop"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/test/chaos/servers"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

// TestUnpinned: an operator who drops a pin closes its incident at once, and
// that of no other peer.
func TestUnpinned(t *testing.T) {
	for _, do := range []string{"unpin", "forget"} {
		t.Run(do, func(t *testing.T) {
			w, memory := newTestWatch(t), store.NewMemory(1000)
			rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
			if err != nil {
				t.Fatal(err)
			}
			one, other := stripped(t, w, memory, rules, "192.0.2.10"), stripped(t, w, memory, rules, "198.51.100.10")
			a := (&admin.Local{
				Memory: memory, Rules: func(tlsstate.Kind) *tlsstate.Rules { return rules }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
				Acted: func() { w.unpinned(memory.Load) },
			}).Admin()
			if _, err := a.Do(t.Context(), admin.Act{Do: do, Identity: tlsstate.Identity{Kind: tlsstate.Address, Name: "203.0.113.1"}, Why: "test"}); !errors.Is(err, admin.ErrUnknownPeer) {
				t.Error(err)
			}
			if open := w.book.Count(); open != 2 {
				t.Fatalf("%d incidents are open, want 2", open)
			}
			if _, err := a.Do(t.Context(), admin.Act{Do: do, Identity: one, Why: "test"}); err != nil {
				t.Fatal(err)
			}
			if i := w.book.Of(one)[0]; i.ClosedBy != incident.Unpinned {
				t.Errorf("its incident: %q", i.ClosedBy)
			}
			if i := w.book.Of(other)[0]; !i.IsOpen() {
				t.Errorf("the other's incident: %q", i.ClosedBy)
			}
		})
	}
}

// TestUnpinnedElsewhere: an operator who drops a pin at a host closes the incident at
// another one that shares the memory, though the peer does not come there again.
// Operators work on the memory of both.
func TestUnpinnedElsewhere(t *testing.T) {
	server, err := servers.Start(servers.Valkey, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	d, _, stop := running(t, testConfig(t, func(f config.Flags) { f["shared"] = server.URL() }))
	defer stop()
	if _, all := d.operators().Memory.(shared.Whole); !all {
		t.Errorf("operators work on %T", d.operators().Memory)
	}
	id := stripped(t, d.watch, d.histories, d.rulesFor(tlsstate.Address), "192.0.2.10")
	for began := time.Now(); d.histories.Flush(t.Context()) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("the other host can't know it")
		}
	}
	there, err := shared.New(store.NewMemory(1000), shared.Options{URL: server.URL(), Policy: func(k tlsstate.Kind) *tlsstate.Policy { return d.rulesFor(k).Default() }, Logger: d.log})
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		today := tlsstate.DayOf(time.Now())
		_, err := shared.Whole{Store: there}.Update(id, netip.Addr{}, today, func(h tlsstate.History) tlsstate.History { return h.Unpin(today) })
		if err = errors.Join(err, there.Flush(t.Context())); err == nil {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go d.watchPins(ctx)
	for d.watch.book.Of(id)[0].IsOpen() {
		if !loop.Pause(ctx, 10*time.Millisecond) {
			t.Fatal("its incident is open")
		}
	}
	if by := d.watch.book.Of(id)[0].ClosedBy; by != incident.Unpinned {
		t.Errorf("closed by %s", by)
	}
}

// TestDropped: what time does to a pin, and what the configuration wants, is
// for no operator's act to end.
func TestDropped(t *testing.T) {
	held := tlsstate.Pin{Formed: 100, Met: 110}
	void := tlsstate.Pin{Formed: 100, Met: 110, Void: 112}
	again := tlsstate.Pin{Formed: 120, Met: 120, Void: 112}
	pins := func(p tlsstate.Pin) (h tlsstate.History) { h.Pins[tlsstate.TLS12-1] = p; return h }
	stripped := incident.Incident{Kind: tlsstate.Stripped, Evidence: incident.Evidence{Pin: tlsstate.TLS12}}
	required := stripped
	required.Evidence.Required = true
	certificate := incident.Incident{Kind: tlsstate.Unauthenticated}
	for name, tt := range map[string]struct {
		h    tlsstate.History
		i    incident.Incident
		want bool
	}{
		"held":                    {pins(held), stripped, false},
		"nothing known":           {tlsstate.History{}, stripped, false},
		"dropped":                 {pins(void), stripped, true},
		"dropped and formed anew": {pins(again), stripped, false},
		"required":                {pins(void), required, false},
		"a certificate":           {tlsstate.History{CertPin: void}, certificate, true},
		"another pin":             {tlsstate.History{CertPin: void}, stripped, false},
		"forgotten":               {pins(held).Forget(112), stripped, true},
	} {
		if got := dropped(&tt.h, &tt.i); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func newTestWatch(t *testing.T) *watch {
	t.Helper()
	history := filepath.Join(t.TempDir(), "history.db")
	cfg, err := config.Load("", func(string) (string, bool) { return "", false }, config.Flags{"history": history})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Selfcheck.Address = config.Off
	w := newWatch(cfg, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// stripped is a peer that is pinned, and then comes in clear.
func stripped(t *testing.T, w *watch, memory ratchet.Histories, rules *tlsstate.Rules, address string) tlsstate.Identity {
	t.Helper()
	p, err := peer.Identify(peer.Client{Addr: address, DaemonAddr: "198.51.100.1", DaemonPort: "25"})
	if err != nil {
		t.Fatal(err)
	}
	r := ratchet.New(ratchet.Options{Histories: memory, Rules: rules, Log: slog.New(slog.DiscardHandler)})
	for ago := 10; ago >= 0; ago-- {
		s := &ratchet.Session{At: time.Now().AddDate(0, 0, -ago), Peer: p}
		if s.Level = tlsstate.TLS13; ago == 0 {
			s.Level = tlsstate.Plaintext
		}
		d := r.Decide(s)
		r.Learn(s, &d)
		w.book.OnEvent(ratchet.Event{Session: s, Decision: &d, Done: true})
	}
	for began := time.Now(); len(w.book.Of(p.Address)) != 1; time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("no incident of %s", address)
		}
	}
	return p.Address
}
