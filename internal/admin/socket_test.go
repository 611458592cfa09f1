package admin

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDenied: who may use a file, a socket or a folder. Its group may where the mode lets it
// do what is needed: read a file, read and write a socket, make files in a folder.
func TestDenied(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("only root can give files to a group")
	}
	dir := t.TempDir()
	file, socket, folder := filepath.Join(dir, "file"), filepath.Join(dir, "socket"), filepath.Join(dir, "folder")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what  string
		mode  os.FileMode
		gid   int
		group bool
	}{
		{file, 0o640, 12346, true}, {file, 0o620, 12346, false}, {file, 0o600, 12346, false}, {file, 0o640, 0, false},
		{socket, 0o660, 12346, true}, {socket, 0o640, 12346, false},
		{folder, 0o770, 12346, true}, {folder, 0o750, 12346, false},
	} {
		if err := os.Chown(tt.what, 0, tt.gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(tt.what, tt.mode); err != nil {
			t.Fatal(err)
		}
		path := tt.what
		if path == folder {
			path += "/missing"
		}
		got := Denied(path).Error()
		if strings.Contains(got, "for the user root and the group 12346") != tt.group || strings.Contains(got, "for the user root alone") == tt.group {
			t.Errorf("%s with %s, group %d: %s", filepath.Base(tt.what), tt.mode, tt.gid, got)
		}
	}
}
