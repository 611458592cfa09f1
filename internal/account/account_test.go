package account

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestMay: the owner's bits are the owner's alone, and those of the group are for
// whoever is in it, by whichever of its groups.
func TestMay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	owner, group := os.Getuid(), os.Getgid()
	for _, tt := range []struct {
		mode os.FileMode
		who  Account
		want os.FileMode // the bits that it has
	}{
		{0o640, Account{uid: owner}, Read | Write},
		{0o047, Account{uid: owner, gids: []int{group}}, 0},
		{0o047, Account{uid: owner + 1, gids: []int{group + 1, group}}, Read},
		{0o047, Account{uid: owner + 1, gids: []int{group + 1}}, Read | Write | Enter},
		{0o710, InGroup(group), Enter},
		{0o710, Account{uid: -1}, 0},
	} {
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, bit := range []os.FileMode{Read, Write, Enter} {
			if got := tt.who.May(info, bit); got != (tt.want&bit != 0) {
				t.Errorf("%o: %+v may %o: %t", tt.mode, tt.who, bit, got)
			}
		}
	}
}

// TestBlocked names what is in the way.
func TestBlocked(t *testing.T) {
	root, err := os.MkdirTemp("", "blocked") // every user may enter it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	folder := filepath.Join(root, "folder")
	file := filepath.Join(folder, "file")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nobody, err := Lookup("there-is-no-such-user")
	if err == nil {
		t.Fatal("a user that is not there was found")
	}
	for _, tt := range []struct {
		root, folder, file os.FileMode
		want               string
	}{
		{0o700, 0o755, 0o644, root},
		{0o755, 0o744, 0o644, folder},
		{0o755, 0o711, 0o640, file},
		{0o755, 0o711, 0o644, ""},
	} {
		for path, mode := range map[string]os.FileMode{root: tt.root, folder: tt.folder, file: tt.file} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		if got := nobody.Blocked(file); got != tt.want {
			t.Errorf("%o %o %o: %q, want %q", tt.root, tt.folder, tt.file, got, tt.want)
		}
	}
	if got := nobody.Blocked("/nowhere/file"); got != "" {
		t.Errorf("what is not there: %q", got)
	}
}

// TestPeer: who is at the other end of a unix socket is known, of another not.
func TestPeer(t *testing.T) {
	for _, at := range [][2]string{{"unix", filepath.Join(t.TempDir(), "socket")}, {"tcp", "127.0.0.1:0"}} {
		l, err := net.Listen(at[0], at[1])
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		there, err := net.Dial(at[0], l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer there.Close()
		here, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer here.Close()
		pid, uid, ok := Peer(here)
		if known := runtime.GOOS == "linux" && at[0] == "unix"; ok != known || known && (int(pid) != os.Getpid() || int(uid) != os.Getuid()) {
			t.Errorf("%s: process %d, user %d, %t", at[0], pid, uid, ok)
		}
	}
	if _, _, ok := Peer(nil); ok {
		t.Error("nobody is known")
	}
}
