package shared_test

import (
	"path/filepath"
	"testing"
	"time"

	"tlsratchet/test/chaos/servers"
	"tlsratchet/test/storetest"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

// shares returns what puts a local store onto a server, under a prefix of its
// own.
func shares(s *servers.Server) func(testing.TB, store.Store) storetest.Store {
	return func(t testing.TB, local store.Store) storetest.Store {
		t.Helper()
		sharing, err := shared.New(local, shared.Options{URL: s.URL(), Prefix: prefix(), Timeout: patience, Now: today.Time})
		if err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(patience); !sharing.Sharing().Taking; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no connection: %+v", sharing.Sharing())
			}
		}
		return sharing
	}
}

func TestContractOverMemory(t *testing.T) {
	onBoth(t, func(t *testing.T, s *servers.Server) {
		storetest.Run(t, func(t testing.TB) storetest.Store { return shares(s)(t, store.NewMemory(4000)) })
	})
}

func TestContractOverFile(t *testing.T) {
	onBoth(t, func(t *testing.T, s *servers.Server) {
		storetest.Run(t, func(t testing.TB) storetest.Store {
			f, err := store.Open(filepath.Join(t.TempDir(), "history.db"), store.Options{ReadTimeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			return shares(s)(t, f)
		})
	})
}
