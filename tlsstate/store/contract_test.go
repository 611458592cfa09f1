package store_test

import (
	"testing"
	"time"

	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/storetest"
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
