package store_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/test/storetest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

var release = flag.String("release", "", "write the files of this version into testdata/releases")

// exported is a line of an export.
type exported struct {
	Identity string           `json:"identity"`
	History  tlsstate.History `json:"history"`
}

// What a release wrote, every later one reads: its history file, and its export
// of the same memory. When a version is released, its files are added by
//
//	go test ./tlsstate/store -run TestReleases -release 0.1.0
func TestReleases(t *testing.T) {
	if *release != "" {
		writeRelease(t, filepath.Join("testdata/releases", *release))
	}
	versions, err := filepath.Glob("testdata/releases/*")
	if err != nil || len(versions) == 0 {
		t.Fatalf("no files of releases, %v", err)
	}
	for _, folder := range versions {
		want := readExport(t, filepath.Join(folder, "export.jsonl"))
		if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
			t.Fatal("the files of bbolt are in the byte order of the machine")
		}
		file, err := os.ReadFile(filepath.Join(folder, "history.db"))
		path := filepath.Join(t.TempDir(), "history.db")
		if err = errors.Join(err, os.WriteFile(path, file, 0o600)); err != nil {
			t.Fatal(err)
		}
		f, err := store.Open(path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		all, failed := f.All(tlsstate.Identity{})
		got := maps.Collect(all)
		if diff := cmp.Diff(want, got); diff != "" || failed() != nil {
			t.Errorf("%s: %v, export - history +:\n%s", folder, failed(), diff)
		}
		_, err = f.Update(tlsstate.Identity{Kind: tlsstate.Domain, Name: "new.example"}, netip.Addr{}, storetest.Today, func(tlsstate.History) tlsstate.History {
			return storetest.Sees(tlsstate.History{}, storetest.Today, tlsstate.TLS12)
		})
		if err = errors.Join(err, f.Close()); err != nil { // it is in use
			t.Error(err)
		}
	}
}

func readExport(t *testing.T, name string) map[tlsstate.Identity]tlsstate.History {
	t.Helper()
	all := map[tlsstate.Identity]tlsstate.History{}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var l exported
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		id, err := tlsstate.ParseIdentity(l.Identity)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[id] = l.History
	}
	return all
}

func writeRelease(t *testing.T, folder string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "history.db")
	_ = os.Remove(path)
	f, err := store.Open(path, store.Options{SnapshotEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	full := storetest.Full()
	for id, h := range full {
		if _, err := f.Update(id, netip.Addr{}, storetest.Today, func(tlsstate.History) tlsstate.History { return h }); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(folder, "export.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(out)
	for _, id := range slices.SortedFunc(maps.Keys(full), func(a, b tlsstate.Identity) int { return strings.Compare(a.String(), b.String()) }) {
		if err := json.NewEncoder(w).Encode(exported{id.String(), full[id]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
