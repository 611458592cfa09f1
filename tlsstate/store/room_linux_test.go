package store

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// leastFree is a disk that notes how little room was left each time that it was read.
type leastFree struct {
	disk
	folder string
	free   uint64
}

func (d *leastFree) scan(key []byte, n int) (batch, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.folder, &s); err != nil {
		return batch{}, err
	}
	d.free = min(d.free, s.Bavail*uint64(s.Bsize))
	return d.disk.scan(key, n)
}

// A snapshot for which there is no room leaves some to others: the disk may be that of
// Postfix's queue.
func TestASnapshotFillsNoDisk(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=16m"); err != nil {
		t.Fatalf("no small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(folder, "histories")
	copyFile(t, fill(t, 8000), path)
	real, found, err := openBolt(path, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &leastFree{real, folder, 1 << 60}
	f, err := start(path, Options{ReadTimeout: patience, SnapshotEvery: -1}.withDefaults(), d, found, rescue{})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, f)
	if err := f.Snapshot(); err != nil || d.free < 4<<20 {
		t.Fatalf("with room for it: %v, %d bytes are left", err, d.free)
	}
	if err := os.Remove(snapshots(path)[0]); err != nil {
		t.Fatal(err)
	}
	d.free = 1 << 60
	if _, err := d.scan(nil, 1); err != nil { // notes what is free now
		t.Fatal(err)
	}
	if err := os.WriteFile(folder+"/queue", make([]byte, d.free-1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d.free = 1 << 60
	if err := f.Snapshot(); !errors.Is(err, syscall.ENOSPC) || d.free < 640<<10 {
		t.Errorf("Snapshot: %v, at least %d bytes were left", err, d.free)
	}
	if names := beside(t, path); len(names) != 1 { // the queue
		t.Errorf("left behind: %q", names)
	}
}
