package nsd

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tlsratchet/internal/peer/spf/resolver"
	"tlsratchet/test/apt"
)

var (
	unbound = apt.Set{Folder: "unbound", Packages: []string{"unbound"}, Program: "usr/sbin/unbound", Args: []string{"-V"}}
	ldns    = apt.Set{Folder: "ldnsutils", Packages: []string{"ldnsutils"}, Program: "usr/bin/ldns-signzone", Args: []string{"-v"}}
)

// Signed serves a zone, signed, by NSD, and Unbound on port 53 of an address of
// loopback, which validates it: until the end of the test. It needs root.
func Signed(t testing.TB, addr, name, text string) {
	t.Helper()
	dir := t.TempDir()
	signed, anchor := sign(t, dir, name, text)
	zones := map[string]string{name: signed}
	root, err := apt.Root(unbound)
	if err != nil {
		t.Fatalf("this test needs the resolver Unbound: %v", err)
	}
	path := filepath.Join(dir, "unbound.conf")
	conf := fmt.Sprintf(unboundConfig, addr, name, anchor, strings.Replace(Start(t, zones).String(), ":", "@", 1))
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := resolver.Network(netip.AddrPortFrom(netip.MustParseAddr(addr), 53))
	run(t, "Unbound", apt.Command(root, unbound.Program, "-d", "-c", path), func() error { return await(ask, zones) })
}

const unboundConfig = `server:
	interface: %s
	username: ""
	chroot: ""
	directory: ""
	pidfile: ""
	use-syslog: no
	do-not-query-localhost: no
	local-zone: "%[2]s." nodefault
	trust-anchor: %[3]q
stub-zone:
	name: "%[2]s."
	stub-addr: %[4]s
remote-control:
	control-enable: no
`

// sign returns a zone with its signatures, and the DS record of its key.
func sign(t testing.TB, dir, name, text string) (signed, anchor string) {
	t.Helper()
	root, err := apt.Root(ldns)
	if err != nil {
		t.Fatalf("this test needs ldnsutils: %v", err)
	}
	output := func(cmd *exec.Cmd) string {
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", cmd.Path, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	key := output(apt.Command(root, "usr/bin/ldns-keygen", "-a", "ECDSAP256SHA256", "-k", name))
	output(apt.Command(root, ldns.Program, "-f", "signed", "-o", name, "plain", key))
	zone, err := os.ReadFile(filepath.Join(dir, "signed"))
	if err != nil {
		t.Fatal(err)
	}
	ds, err := os.ReadFile(filepath.Join(dir, key+".ds"))
	if err != nil {
		t.Fatal(err)
	}
	return string(zone), strings.Join(strings.Fields(string(ds)), " ")
}
