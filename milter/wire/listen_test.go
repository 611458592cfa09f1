package wire

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func listenAt(t *testing.T, path string, opts ListenOptions) net.Listener {
	t.Helper()
	lns, err := Listen(Spec{NetworkUnix, path}, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lns[0].Close() })
	return lns[0]
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestUnixMode(t *testing.T) {
	umask := syscall.Umask(0o022)
	defer syscall.Umask(umask)
	for _, mode := range []fs.FileMode{0o600, 0o660, 0o666, 0o777} {
		path := filepath.Join(t.TempDir(), "m")
		listenAt(t, path, ListenOptions{Mode: mode, Group: -1})
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("mode %v, want %v (%v)", info.Mode().Perm(), mode, err)
		}
	}
	if now := syscall.Umask(0o022); now != 0o022 {
		t.Errorf("umask is %o afterwards, was 022", now)
	}
}

func TestUnixGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	group := os.Getgid()
	if os.Geteuid() == 0 {
		group = 12345 // root can give it to any
	}
	listenAt(t, path, ListenOptions{Mode: 0o660, Group: group})
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := int(info.Sys().(*syscall.Stat_t).Gid); got != group || info.Mode().Perm() != 0o660 {
		t.Errorf("group %d mode %v, want %d 0660", got, info.Mode().Perm(), group)
	}
}

// Until it has its group, which may be 0, a socket is the owner's alone.
func TestUnixBeforeItsGroup(t *testing.T) {
	for group, want := range map[int]fs.FileMode{-1: 0o660, 0: 0o600, 1: 0o600} {
		path := filepath.Join(t.TempDir(), "s")
		ln, err := bind(path, ListenOptions{Mode: 0o660, Group: group})
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("group %d: %v, %v", group, info, err)
		}
		ln.Close()
	}
	path := filepath.Join(t.TempDir(), "s")
	ln, err := listenUnix(path, ListenOptions{Mode: 0o660, Group: os.Getgid()})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("with its group: %v, %v", info, err)
	}
}

func TestUnixRemovedAtClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	ln := listenAt(t, path, ListenOptions{Mode: 0o666, Group: -1})
	ln.Close()
	if exists(path) {
		t.Error("the socket file is still there")
	}
	ln = listenAt(t, path, ListenOptions{Mode: 0o666, Group: -1})
	os.Remove(path)
	if err := os.WriteFile(path, []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if !exists(path) {
		t.Error("a file of somebody else's was removed")
	}
}

func TestUnixStaleIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	listenAt(t, path, ListenOptions{Mode: 0o666, Group: -1})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestUnixRefuses(t *testing.T) {
	dir := t.TempDir()
	make := func(name string, how func(path string) error) string {
		path := filepath.Join(dir, name)
		if err := how(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	alive := filepath.Join(dir, "alive")
	listenAt(t, alive, ListenOptions{Mode: 0o666, Group: -1})
	for _, test := range []struct {
		path string
		want error
	}{
		{alive, ErrInUse},
		{make("file", func(p string) error { return os.WriteFile(p, nil, 0o600) }), ErrNotSocket},
		{make("dir", func(p string) error { return os.Mkdir(p, 0o700) }), ErrNotSocket},
		{make("link", func(p string) error { return os.Symlink(alive, p) }), ErrNotSocket},
		{make("fifo", func(p string) error { return syscall.Mkfifo(p, 0o600) }), ErrNotSocket},
	} {
		_, err := Listen(Spec{NetworkUnix, test.path}, ListenOptions{Mode: 0o666, Group: -1})
		if !errors.Is(err, test.want) || !strings.Contains(fmt.Sprint(err), test.path) {
			t.Errorf("%s: got %v, want %v", test.path, err, test.want)
		}
		if !exists(test.path) {
			t.Errorf("%s was removed", test.path)
		}
	}
	if _, err := Listen(Spec{NetworkUnix, dir + "/no/m"}, ListenOptions{Mode: 0o666, Group: -1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
}

func TestTCP(t *testing.T) {
	lns, err := Listen(Spec{NetworkTCP, "127.0.0.1:0"}, ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer lns[0].Close()
	_, err = Listen(Spec{NetworkTCP, lns[0].Addr().String()}, ListenOptions{})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v", err)
	}
}

func TestSystemdNone(t *testing.T) {
	t.Setenv("LISTEN_PID", "")
	if _, err := Listen(Spec{Network: NetworkSystemd}, ListenOptions{}); !errors.Is(err, ErrNoSystemdSockets) {
		t.Errorf("got %v", err)
	}
}

// The test runs itself as the service that systemd starts, with two stream
// sockets and one that isn't.
func TestSystemdSockets(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestSystemdService$", "-test.v")
	cmd.Env = append(os.Environ(), "LISTEN_FDS=3", "LISTEN_FDNAMES=a:b:c", "WIRE_TEST_SERVICE=1")
	for _, network := range []string{"unix", "tcp"} {
		ln, err := net.Listen(network, map[string]string{"unix": filepath.Join(t.TempDir(), "m"), "tcp": "127.0.0.1:0"}[network])
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		f, err := ln.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	cmd.ExtraFiles = append(cmd.ExtraFiles, null)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "networks: unix tcp") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSystemdService is the other side of TestSystemdSockets.
func TestSystemdService(t *testing.T) {
	if os.Getenv("WIRE_TEST_SERVICE") == "" {
		return
	}
	os.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid())) // systemd knows it before
	lns, err := Listen(Spec{Network: NetworkSystemd}, ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Print("networks:")
	for _, ln := range lns {
		fmt.Print(" ", ln.Addr().Network())
		ln.Close()
	}
	fmt.Println()
	io.WriteString(os.Stdout, "\n")
}
