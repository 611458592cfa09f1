package soak

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tlsratchet/internal/admin"
	"tlsratchet/test/mtatest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// flooders are the connections that a flood comes on.
const flooders = 4

// flood is mail of n one-day domains, as fast as it is answered, each over TLS
// from an address of its own, 20 to a network: as many as its quota lets in.
type flood struct {
	socket string
	n      int
	next   atomic.Int64
}

func (f *flood) run(t *testing.T) {
	var senders sync.WaitGroup
	for range flooders {
		senders.Go(func() {
			if err := f.send(); err != nil {
				t.Error(err)
			}
		})
	}
	senders.Wait()
}

func (f *flood) send() error {
	s, err := mtatest.Dial(context.Background(), "unix", f.socket, mtatest.Options{Macros: macros(""), Timeout: readTimeout})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	m := mtatest.Message{Rcpts: letter.Rcpts, Macros: map[string]string{"{client_resolve}": "OK"}}
	var r mtatest.Result
	for i := int(f.next.Add(1)) - 1; i < f.n; i = int(f.next.Add(1)) - 1 {
		network := i % (f.n/20 + 1)
		client := netip.AddrFrom4([4]byte{byte(40 + network>>16), byte(network >> 8), byte(network), byte(i / (f.n/20 + 1))})
		name := domain("flood", i).Name
		m.Macros["{client_addr}"], m.Macros["{client_name}"] = client.String(), "mx."+name
		m.From = "alice@" + name
		if err := s.Run(&m, &r); err != nil || r.End.Code != 'a' {
			return fmt.Errorf("message %d: answered %s, %v", i, r.End, err)
		}
	}
	return nil
}

// TestAFloodOfOneDayDomains comes upon a daemon by its defaults: its memory is
// bounded, and every pin is still there.
func TestAFloodOfOneDayDomains(t *testing.T) {
	alone(t)
	const pins = 10_000
	n, limit := scale(60_000, 1_500_000), scale(30_000, 2_000_000) // in soak the default; a message leaves two
	h := fresh()
	path := filledWith(t, pins, h)
	d := serve(t, path, fmt.Sprintf("[dns]\nresolver = %q\n[limits]\nidentities = %d\n", nobodyKnows(t), limit), 0)
	began := time.Now()
	(&flood{socket: d.socket, n: n}).run(t)
	took := time.Since(began)
	d.pinned(pins)
	m, err := d.metrics()
	if err != nil {
		t.Fatal(err)
	}
	d.stop()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f MiB of RssAnon at most; %d domains in %s; %v written, %v dropped, %v of their networks' quota; a file of %d MiB",
		d.peak.mib(), n, took.Round(time.Second), m["tlsratchet_store_written_total"], m["tlsratchet_store_dropped_total"],
		m[`tlsratchet_store_refused_total{reason="newcomers"}`], info.Size()>>20)
	if got := d.peak.mib(); got > 160 {
		t.Errorf("%.0f MiB of RssAnon, want at most 160", got)
	}
	unharmed(t, path, pins, h, limit)
}

// pinned asks the daemon which peers are pinned, and checks how many.
func (d *daemon) pinned(want int) {
	d.t.Helper()
	c, err := admin.Dial(d.t.Context(), d.admin)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	got := 0
	for row, err := range c.Peers(d.t.Context(), admin.Query{Pinned: true, Kind: tlsstate.Address}) {
		if err != nil {
			d.t.Fatal(err)
		}
		_ = row
		got++
	}
	if got != want {
		d.t.Errorf("%d peers are pinned, want %d", got, want)
	}
}

// unharmed looks into the file: for all pins, as they were, and no more
// identities than it may hold.
func unharmed(t *testing.T, path string, pins int, want tlsstate.History, limit int) {
	t.Helper()
	f, err := store.Open(path, store.Options{ReadTimeout: readTimeout, SnapshotEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for i := range pins {
		if h, err := f.Load(peer(i)); err != nil || h != want {
			t.Fatalf("%s is %+v, %v", peer(i), h, err)
		}
	}
	if n := f.Len(); n > limit+limit/10 || n < limit/2 {
		t.Errorf("%d identities, want about %d", n, limit)
	}
}

// nobodyKnows is a resolver on loopback to which no name is known.
func nobodyKnows(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		for b := make([]byte, 512); ; {
			n, from, err := c.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if n >= 12 {
				b[2], b[3] = b[2]|0x80, 3 // a response, NXDOMAIN
				_, _ = c.WriteTo(b[:n], from)
			}
		}
	}()
	return c.LocalAddr().String()
}

// TestAFloodThatPins: one operator, with a /32 of IPv6, makes as many names as
// he can and keeps them for five days, until they are pinned. Others' pins
// stay, and it is logged in one line a day.
func TestAFloodThatPins(t *testing.T) {
	others, limit := scale(3000, 30_000), scale(6000, 40_000)
	tries := scale(20_000, 60_000) // a day
	var log lines
	f, err := store.Open(filepath.Join(t.TempDir(), "history.db"), store.Options{
		ReadTimeout: readTimeout, MaxIdentities: limit, Logger: log.logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := merge(f, others); err != nil {
		t.Fatal(err)
	}
	for day := today - 4; day <= today; day++ {
		for i := range tries {
			client := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 8), byte(i)})
			grow := func(h tlsstate.History) tlsstate.History { return session(h, day, tlsstate.TLS12) }
			if _, err := f.Update(domain("flood", i), client, day, grow); err != nil {
				t.Fatal(err)
			}
			if i%(limit/12) == 0 { // a day is long enough for that
				settle(t, f, limit)
			}
		}
		settle(t, f, limit)
	}
	for i := range others {
		if h, err := f.Load(peer(i)); err != nil || h != pinned {
			t.Fatalf("%s is %+v, %v", peer(i), h, err)
		}
	}
	logged, refused := log.count("more newcomers"), f.Stats().Refused
	t.Logf("%d identities, %d refused and %d pruned of the flood; logged %d times", f.Len(), refused, f.Stats().Pruned, logged)
	if refused == 0 || logged == 0 || logged > 5 {
		t.Errorf("logged %d times, %d refused", logged, refused)
	}
}

// settle waits until the pruning is done.
func settle(t *testing.T, f *store.File, limit int) {
	t.Helper()
	for began := time.Now(); f.Len() > limit; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > readTimeout {
			t.Fatalf("%d identities, want %d", f.Len(), limit)
		}
	}
	if err := f.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}
