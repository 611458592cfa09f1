// Package nsd runs real DNS servers for tests, on loopback: NSD from Debian, and
// Unbound before it for a zone that is signed (RFC 4033). They are unpacked in a
// cache folder. Nothing is installed.
package nsd

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

	"tlsratchet/internal/peer/spf/resolver"
	"tlsratchet/test/apt"
)

var nsd = apt.Set{Folder: "nsd", Packages: []string{"nsd"}, Program: "usr/sbin/nsd", Args: []string{"-v"}}

// Start runs NSD with zones, their texts by their names, until the end of the
// test, and returns its address. A zone without a text answers SERVFAIL. At
// least one needs a text: it shows that the server is up.
func Start(t testing.TB, zones map[string]string) netip.AddrPort {
	t.Helper()
	root, err := apt.Root(nsd)
	if err != nil {
		t.Fatalf("this test needs the DNS server NSD: %v", err)
	}
	addr := freePort(t)
	path, err := write(t.TempDir(), zones, addr)
	if err != nil {
		t.Fatal(err)
	}
	run(t, "NSD", apt.Command(root, nsd.Program, "-d", "-c", path), func() error { return await(resolver.Network(addr), zones) })
	return addr
}

// run runs a server until the end of the test. It is up once ready returns nil.
func run(t testing.TB, name string, cmd *exec.Cmd, ready func() error) {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := stopper(cmd)
	t.Cleanup(stop)
	if err := ready(); err != nil {
		stop()
		t.Fatalf("%s doesn't answer: %v\n%s", name, err, output.String())
	}
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
func await(ask resolver.Exchange, zones map[string]string) (err error) {
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
