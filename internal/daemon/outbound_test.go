package daemon

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"tlsratchet/internal/config"
)

// TestSlowPostconf: received mail does not wait for Postfix's settings of the
// sending side, which postconf(1) takes a second to refuse where there is no
// main.cf. Look-ups do: nobody answers them before it is known what is allowed.
func TestSlowPostconf(t *testing.T) {
	cfg := testConfig(t)
	bin := t.TempDir()
	gate := filepath.Join(bin, "gate")
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n[ -p " + gate + " ] && read -r line <" + gate + " && rm " + gate + "\necho smtp_tls_security_level = may\n"
	if err := os.WriteFile(filepath.Join(bin, "postconf"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	socket := filepath.Join(t.TempDir(), "policy.sock")
	cfg.Outbound.Listen, cfg.Outbound.Log = []config.Listener{{Network: "unix", Address: socket}}, config.Off

	log := make(lines, 1000)
	d, err := New(cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	done, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- d.Run(t.Context(), done) }()
	log.until(t, "msg=serving")

	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("get bank.example\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(gate, []byte("go on\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "END\r\n" {
		t.Errorf("answer %q, %v", line, err)
	}
	if p := d.sending.out.Overview(); p.Forbidden != "" {
		t.Errorf("forbidden: %s", p.Forbidden)
	}
	close(done)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
