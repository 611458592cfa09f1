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
