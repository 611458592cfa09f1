package daemon

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestDefaultFolder: Postfix may enter the folder of the socket whatever the umask
// of who starts the daemon, and one that is there stays as it is.
func TestDefaultFolder(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	socket := filepath.Join(t.TempDir(), "tlsratchet", "tlsratchet.sock")
	folder := filepath.Dir(socket)
	for _, mode := range []os.FileMode{0o755, 0o711} {
		if err := makeDefaultFolder(socket, socket, 0o755); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%v, %v: want the mode %v", info.Mode(), err, mode)
		}
		if err := os.Chmod(folder, 0o711); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGroupNumbers: what is neither the number of a group nor its name is refused, not
// taken for no group.
func TestGroupNumbers(t *testing.T) {
	cfg := testConfig(t)
	for name, want := range map[string]int{"": -1, "0": 0, "12345": 12345} {
		if got, err := groupID(cfg, "socket.group", name); got != want || err != nil {
			t.Errorf("%q: %d, %v", name, got, err)
		}
	}
	for _, name := range []string{"-1", "+7", "4294967295", "no-such-group"} {
		if got, err := groupID(cfg, "socket.group", name); err == nil {
			t.Errorf("%q: %d", name, got)
		}
	}
}
