package spf

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

// nsdPackages are Debian's DNS server and those of its libraries that a small
// system lacks.
var nsdPackages = []string{"nsd", "libevent-2.1-7", "libfstrm0", "libprotobuf-c1"}

// nsdAnswers is the name that tells that the server is up.
const nsdAnswers = "out.example"

// startNSD runs NSD on loopback with the zones of testdata, and returns its
// address. The zone "broken" has no file: it answers SERVFAIL.
func startNSD(t *testing.T) netip.AddrPort {
	t.Helper()
	root, err := fetchNSD()
	if err != nil {
		t.Fatalf("these tests need the DNS server NSD: %v", err)
	}
	zones := t.TempDir()
	if err := os.CopyFS(zones, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(zones, "large.zone"), []byte(largeZone()), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freePort(t)
	conf := nsdConfig(t.TempDir(), zones, addr)
	path := filepath.Join(t.TempDir(), "nsd.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
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
	gone := make(chan struct{})
	go func() { cmd.Wait(); close(gone) }()
	stop := func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its children with it
			<-gone
		}
	}
	t.Cleanup(stop)
	if err := awaitNSD(addr); err != nil {
		stop()
		t.Fatalf("NSD doesn't answer at %v: %v\n%s", addr, err, said.String())
	}
	return addr
}

func nsdConfig(dir, zones string, addr netip.AddrPort) string {
	return fmt.Sprintf(`server:
	ip-address: %s
	port: %d
	username: ""
	chroot: ""
	server-count: 1
	zonesdir: %q
	database: ""
	logfile: ""
	pidfile: "%[4]s/nsd.pid"
	xfrdfile: "%[4]s/xfrd.state"
	zonelistfile: "%[4]s/zone.list"
	xfrdir: %[4]q
	rrl-ratelimit: 0
remote-control:
	control-enable: no
zone:
	name: example
	zonefile: example.zone
zone:
	name: 192.in-addr.arpa
	zonefile: reverse.zone
zone:
	name: large
	zonefile: large.zone
zone:
	name: broken
	zonefile: there-is-none.zone
`, addr.Addr(), addr.Port(), zones, dir)
}

// largeZone has texts of 60 KB: more won't fit a message. NSD takes 64 strings a
// record.
func largeZone() string {
	var b strings.Builder
	b.WriteString("$ORIGIN large.\n$TTL 300\n@ SOA ns.example. hostmaster.example. 1 3600 600 86400 60\n@ NS ns.example.\n")
	fill := func(name, first string, strs int) {
		fmt.Fprintf(&b, "%s TXT %q%s\n", name, first, strings.Repeat(fmt.Sprintf(" %q", strings.Repeat("x ", 127)), strs-1))
	}
	for i := range 4 {
		fill("beside", fmt.Sprint("verification=", i), 60)
		fill("inside", fmt.Sprint("verification=", i), 40)
	}
	b.WriteString("beside TXT \"v=spf1 ip4:192.0.2.10 -all\"\n")
	fill("inside", "v=spf1 ip4:192.0.2.10 ", 60)
	return b.String()
}

func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

func awaitNSD(addr netip.AddrPort) (err error) {
	q, err := resolver.Ask(nsdAnswers, resolver.TypeA)
	if err != nil {
		return err
	}
	ask := resolver.Network(addr)
	for range 150 {
		ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
		_, _, err = ask(ctx, q)
		cancel()
		if err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

// fetchNSD returns the folder that NSD is unpacked in, and puts it there if it
// isn't: nothing is installed.
func fetchNSD() (root string, err error) {
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
	download := append([]string{"download"}, nsdPackages...)
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
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	for _, p := range packages {
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
