package admin_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"tlsratchet/internal/admin"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// many is how many identities a large memory has here; the benchmark in
// cmd/tlsratchet takes a million.
const many = 50_000

// large is the operations on a large memory in a file, on a socket.
func large(t *testing.T) (file *store.File, path, socket string) {
	t.Helper()
	dir := t.TempDir()
	path, socket = filepath.Join(dir, "history.db"), filepath.Join(dir, "s")
	file, err := store.Open(path, store.Options{SnapshotEvery: -1, CacheSize: 1000, ReadTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	touch(t, file, 1)
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	a := (&admin.Local{Memory: file, Rules: func(tlsstate.Kind) *tlsstate.Rules { return rules }, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}).Admin()
	server := &http.Server{Handler: admin.Handler(a)}
	go server.Serve(ln)
	t.Cleanup(func() {
		server.Close()
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
	return file, path, socket
}

func TestALargeMemory(t *testing.T) {
	file, path, socket := large(t)
	t.Run("listing takes no memory", func(t *testing.T) { listingTakesNoMemory(t, socket) })
	t.Run("a pager that waits holds nothing", func(t *testing.T) { waitingHoldsNothing(t, file, path, socket) })
}

// touch has every identity come on a further day, which rewrites the file.
func touch(t *testing.T, file *store.File, day tlsstate.Day) {
	t.Helper()
	rule, today := tlsstate.DefaultPolicy(), tlsstate.DayOf(now)
	o := tlsstate.Observation{Day: today - 60 + day, Security: tlsstate.Security{Level: tlsstate.TLS13}}
	for i := range many {
		id := tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprintf("d%05d.example", i)}
		_, err := file.Update(id, netip.Addr{}, today, func(h tlsstate.History) tlsstate.History {
			_, after := tlsstate.Judge(h, o, &rule)
			return after
		})
		if err == nil && i%10_000 == 0 {
			err = file.Flush(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// ask sends a request as a client that reads no more than it wants.
func ask(t *testing.T, socket, path string) *bufio.Reader {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET /v1/%s HTTP/1.0\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			return r
		}
	}
}

// A reader that stops after the first row, as a pager does, holds no read
// transaction: bbolt could use no page again that was free since, and the file
// would grow with every write.
func waitingHoldsNothing(t *testing.T, file *store.File, path, socket string) {
	for _, list := range []string{"peers", "export"} {
		r := ask(t, socket, list)
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	touch(t, file, 2)
	before := size()
	touch(t, file, 3)
	if after := size(); after > before+before/8 {
		t.Errorf("the file grew from %d to %d bytes while two readers waited", before, after)
	}
}

// Whoever lists a large memory doesn't have it copied: neither while he reads,
// nor while he waits.
func listingTakesNoMemory(t *testing.T, socket string) {
	const most = 4 << 20 // the rows are 7 MB, the histories 10
	for _, list := range []string{"peers", "export"} {
		base := inUse()
		r := ask(t, socket, list)
		for n := range many {
			if _, err := r.ReadString('\n'); err != nil {
				t.Fatalf("%s: row %d: %v", list, n, err)
			}
			if n%(many/4) != 0 {
				continue
			}
			if used := inUse() - base; used > most {
				t.Errorf("%s: %d KiB more at row %d", list, used>>10, n)
			}
		}
	}
}

// inUse is the heap that is reachable.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
