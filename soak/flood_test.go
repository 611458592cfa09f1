package soak

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// defaults are those of the daemon.
const (
	cacheSize = 50_000
	gcPercent = 50
)

// flood learns n one-day domains of many networks beside 10,000 pinned peers,
// with the daemon's defaults. It tells its greatest anonymous memory.
func flood(path string, n int) error {
	debug.SetGCPercent(gcPercent)
	opts := store.Options{CacheSize: cacheSize, ReadTimeout: readTimeout}
	opts.MaxIdentities, _ = strconv.Atoi(os.Getenv("SOAK_CAP"))
	f, err := store.OpenOrRecover(path, opts)
	if err != nil {
		return err
	}
	const pins = 10_000
	if err := merge(f, pins); err != nil {
		return err
	}
	peak := 0.0
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			if mib, err := anonymous(); err == nil {
				peak = max(peak, mib)
			}
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	began, most := time.Now(), 0
	for i := range n {
		// 60 domains behind each /24, which are met in turns.
		network := i % (n/60 + 1)
		client := netip.AddrFrom4([4]byte{byte(40 + network>>16), byte(network >> 8), byte(network), byte(i % 250)})
		if _, err := f.Learn(domain("flood", i), client, today, setting(seen(1))); err != nil {
			return err
		}
		if i%1000 == 0 {
			most = max(most, f.Len())
			for f.Stats().Pending > 20_000 { // mail comes no faster
				time.Sleep(5 * time.Millisecond)
			}
		}
	}
	if err := f.Flush(context.Background()); err != nil {
		return err
	}
	took := time.Since(began)
	for i := range pins {
		if h, err := f.Load(peer(i)); err != nil || h != pinned {
			return fmt.Errorf("%s is %+v, %v", peer(i), h, err)
		}
	}
	close(stop)
	<-done
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Printf("%.0f MiB of RssAnon at most; %d domains in %s; at most %d identities; file of %d MiB; %+v\n",
		peak, n, took.Round(time.Second), most, info.Size()>>20, f.Stats())
	return f.Close()
}

// TestAFloodOfOneDayDomains: memory is bounded, and every pin is still there.
func TestAFloodOfOneDayDomains(t *testing.T) {
	t.Setenv("SOAK_CAP", strconv.Itoa(scale(50_000, 0))) // 0 is the default
	cmd := child(t, "flood", filepath.Join(t.TempDir(), "history.db"), scale(200_000, 5_000_000))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%s", out)
	var mib float64
	if _, err := fmt.Sscanf(string(out), "%f MiB", &mib); err != nil || mib > memoryLimit {
		t.Errorf("%.0f MiB of RssAnon, want at most %d: %v", mib, memoryLimit, err)
	}
}

// TestAFloodThatPins: one operator, with a /32 of IPv6, makes as many names as
// he can and keeps them for five days, until they are pinned. Others' pins
// stay, and it is told in one line a day.
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
			if _, err := f.Learn(domain("flood", i), client, day, grow); err != nil {
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
	told, refused := log.count("more newcomers"), f.Stats().Refused
	t.Logf("%d identities, %d refused and %d pruned of the flood; told %d times", f.Len(), refused, f.Stats().Pruned, told)
	if refused == 0 || told == 0 || told > 5 {
		t.Errorf("told %d times, %d refused", told, refused)
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
