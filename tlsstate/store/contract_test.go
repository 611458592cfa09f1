package store_test

import (
	"net/netip"
	"testing"
	"time"

	"tlsratchet/test/storetest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

func TestMemoryContract(t *testing.T) {
	storetest.Run(t, func(testing.TB) storetest.Store { return store.NewMemory(4000) })
}

func TestFileContract(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Store { return open(t, t.TempDir()+"/histories", store.Options{}) })
}

// With a cache of next to nothing, all but every read goes to the disk.
func TestSmallCacheContract(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Store {
		return open(t, t.TempDir()+"/histories", store.Options{CacheSize: 1})
	})
}

func TestFileIsDurable(t *testing.T) {
	storetest.RunDurable(t, func(t testing.TB, path string) storetest.Store {
		return open(t, path, store.Options{})
	})
}

func open(t testing.TB, path string, opts store.Options) *store.File {
	t.Helper()
	opts.ReadTimeout = time.Minute // it is not about timeouts
	f, err := store.Open(path, opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return f
}

func TestMemoryCountsHitsAndMisses(t *testing.T) {
	m := store.NewMemory(10)
	id := tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.1"}
	for range 2 {
		if _, err := m.Load(id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Update(id, netip.Addr{}, storetest.Today, func(tlsstate.History) tlsstate.History {
		return storetest.Sees(tlsstate.History{}, storetest.Today, tlsstate.TLS12)
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Load(id); err != nil {
		t.Fatal(err)
	}
	if s := m.Stats(); s.Hits != 1 || s.Misses != 3 || s.Writes != 1 {
		t.Errorf("%+v", s)
	}
}
