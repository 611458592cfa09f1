package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tlsratchet/tlsstate/store"
)

// TestDamage serves damaged files from their snapshot.
func TestDamage(t *testing.T) {
	const peers = 5000
	path := filled(t, peers)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	recovered, intact := 0, 0
	for variant := range scale(60, 500) {
		name, b := damage(rnd, slices.Clone(whole), variant)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		var log lines
		f, err := store.OpenOrRecover(path, store.Options{ReadTimeout: readTimeout, Logger: log.logger()})
		if err != nil {
			t.Fatalf("variant %d, %s: %v", variant, name, err)
		}
		for i := range peers {
			if h, err := f.Load(peer(i)); err != nil || h != pinned {
				t.Fatalf("variant %d, %s: %s is read as %+v, %v", variant, name, peer(i), h, err)
			}
		}
		if log.count("level=ERROR") == 0 {
			intact++
		} else {
			recovered++
		}
		if err := f.Close(); err != nil {
			t.Errorf("variant %d, %s: %v", variant, name, err)
		}
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) > 1+2+3 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	t.Logf("%d recovered from the snapshot, %d not touched by the damage", recovered, intact)
	if recovered == 0 {
		t.Error("no damage was met")
	}
}

// damage flips bits, cuts, swaps pages, clears blocks, or some of each.
func damage(rnd *rand.Rand, b []byte, variant int) (string, []byte) {
	page := os.Getpagesize()
	at, other := rnd.IntN(len(b)/page)*page, rnd.IntN(len(b)/page)*page
	switch variant % 5 {
	case 0:
		bit := rnd.IntN(len(b) * 8)
		b[bit/8] ^= 1 << (bit % 8)
		return fmt.Sprintf("bit %d", bit), b
	case 1:
		n := rnd.IntN(len(b))
		return fmt.Sprintf("cut to %d", n), b[:n]
	case 2:
		kept := slices.Clone(b[at : at+page])
		copy(b[at:], b[other:other+page])
		copy(b[other:], kept)
		return fmt.Sprintf("%d and %d swapped", at, other), b
	case 3:
		from := rnd.IntN(len(b))
		to := min(from+1+rnd.IntN(4*page), len(b))
		clear(b[from:to])
		return fmt.Sprintf("%d to %d cleared", from, to), b
	}
	for range 40 {
		b[rnd.IntN(len(b))] = byte(rnd.Int())
	}
	return "40 bytes", b
}

// TestAMillionPeers starts with a million of them, the file whole and ruined.
func TestAMillionPeers(t *testing.T) {
	n := scale(20_000, 1_000_000)
	path := filled(t, n)
	start := func(name string) {
		t.Helper()
		var log lines
		began := time.Now()
		f, err := store.OpenOrRecover(path, store.Options{ReadTimeout: readTimeout, Logger: log.logger()})
		if err != nil {
			t.Fatal(err)
		}
		h, err := f.Load(peer(n / 2))
		took := time.Since(began)
		if err != nil || h != pinned || f.Len() != n {
			t.Errorf("%s: %+v, %v, %d identities", name, h, err, f.Len())
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		t.Logf("%s: the first answer after %s at %d peers\n%s", name, took.Round(time.Millisecond), n, strings.TrimSpace(log.b.String()))
	}
	start("whole")
	if err := os.Truncate(path, 100_000); err != nil {
		t.Fatal(err)
	}
	start("ruined")
}
