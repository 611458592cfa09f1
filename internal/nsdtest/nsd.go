// Package nsdtest runs a real DNS server for tests: NSD from Debian, unpacked in
// a cache folder, on loopback. Nothing is installed.
package nsdtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlsratchet/peer/spf/resolver"
)

// packages are Debian's DNS server and those of its libraries that a small
// system lacks.
var packages = []string{"nsd", "libevent-2.1-7", "libfstrm0", "libprotobuf-c1"}

// Start runs NSD with zones, their texts by their names, until the end of the
// test, and returns its address. A zone without a text answers SERVFAIL. At
// least one needs a text: it tells that the server is up.
func Start(t testing.TB, zones map[string]string) netip.AddrPort {
	t.Helper()
	root, err := fetch()
	if err != nil {
		t.Fatalf("this test needs the DNS server NSD: %v", err)
	}
	addr := freePort(t)
	path, err := write(t.TempDir(), zones, addr)
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(filepath.Join(root, "usr/sbin/nsd"), "-d", "-c", path)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries(root))
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := stopper(cmd)
	t.Cleanup(stop)
	if err := await(addr, zones); err != nil {
		stop()
		t.Fatalf("NSD doesn't answer at %v: %v\n%s", addr, err, said.String())
	}
	return addr
}

// stopper returns what stops the server, and may be called again.
func stopper(cmd *exec.Cmd) func() {
	gone := make(chan struct{})
	go func() { cmd.Wait(); close(gone) }()
	return func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its children with it
			<-gone
		}
	}
}

// write writes configuration and zones into dir.
func write(dir string, zones map[string]string, addr netip.AddrPort) (path string, err error) {
	var conf strings.Builder
	fmt.Fprintf(&conf, serverConfig, addr.Addr(), addr.Port(), dir)
	for name, text := range zones {
		file := filepath.Join(dir, name+".zone")
		fmt.Fprintf(&conf, "zone:\n\tname: %s\n\tzonefile: %q\n", name, file)
		if text != "" {
			err = errors.Join(err, os.WriteFile(file, []byte(text), 0o600))
		}
	}
	path = filepath.Join(dir, "nsd.conf")
	return path, errors.Join(err, os.WriteFile(path, []byte(conf.String()), 0o600))
}

const serverConfig = `server:
	ip-address: %s
	port: %d
	username: ""
	chroot: ""
	server-count: 1
	zonesdir: %[3]q
	database: ""
	logfile: ""
	pidfile: "%[3]s/nsd.pid"
	xfrdfile: "%[3]s/xfrd.state"
	zonelistfile: "%[3]s/zone.list"
	xfrdir: %[3]q
	rrl-ratelimit: 0
remote-control:
	control-enable: no
`

func freePort(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

// await waits until a zone with a text is served.
func await(addr netip.AddrPort, zones map[string]string) (err error) {
	ask := resolver.Network(addr)
	for name, text := range zones {
		if text == "" {
			continue
		}
		q, err := resolver.Ask(name, resolver.TypeTXT)
		if err != nil {
			return err
		}
		for range 150 {
			ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
			_, _, err = ask(ctx, q)
			cancel()
			if err == nil || errors.Is(err, resolver.ErrNotFound) {
				return nil
			}
			time.Sleep(100 * time.Millisecond)
		}
		return err
	}
	return errors.New("no zone has a text")
}

// fetch returns the folder that NSD is unpacked in, and puts it there if it
// isn't: nothing is installed.
func fetch() (root string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = filepath.Join(os.TempDir(), fmt.Sprintf("tlsratchet-%d", os.Getuid()))
		err = nil
	}
	folder := filepath.Join(cache, "tlsratchet")
	root = filepath.Join(folder, "nsd")
	if runs(root) == nil {
		return root, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(folder, "fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	if err := unpack(fresh); err != nil {
		return "", fmt.Errorf("it can't be fetched from Debian: %w; as root, run apt-get update and try again", err)
	}
	if err := runs(fresh); err != nil {
		return "", fmt.Errorf("it was fetched but doesn't run: %w", err)
	}
	// Another test may have been quicker: one of the two stays.
	if err := os.Rename(fresh, root); err != nil && runs(root) != nil {
		return "", errors.Join(err, os.RemoveAll(root))
	}
	return root, nil
}

func runs(root string) error {
	cmd := exec.Command(filepath.Join(root, "usr/sbin/nsd"), "-v")
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries(root))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("nsd -v: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

func libraries(root string) string {
	found, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-*"))
	return strings.Join(found, ":")
}

// unpack fetches the packages and unpacks them in dir.
func unpack(dir string) error {
	download := append([]string{"download"}, packages...)
	err := command(dir, "apt-get", download...)
	if err != nil && os.Geteuid() == 0 && !errors.Is(err, exec.ErrNotFound) {
		// A machine whose package lists are old, or not there yet.
		if err = command(dir, "apt-get", "update"); err == nil {
			err = command(dir, "apt-get", download...)
		}
	}
	if err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	for _, p := range debs {
		err = errors.Join(err, command(dir, "dpkg", "-x", p, dir), os.Remove(p))
	}
	return err
}

func command(dir, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
