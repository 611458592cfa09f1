package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/doctor"
	"tlsratchet/test/posttest"
)

// TestDoctor has the files of contrib/postfix looked at, with smtpd(8) chrooted
// as Debian has it, then spoilt, and mended by what doctor says.
func TestDoctor(t *testing.T) {
	w := world{T: t, Instance: newPostfix(t, posttest.Options{Chroot: true})}
	config := filepath.Join(t.TempDir(), "tlsratchet.toml")
	text := fmt.Sprintf("listen = [%q]\nhistory = %q\nspf = \"off\"\nheader = \"all\"\n", "unix:"+w.MilterSocket(), filepath.Join(t.TempDir(), "history.db"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	launch(t, exec.Command(binary, "serve", "--config", config))
	w.has(w.delivered(w.bank("192.0.2.90", w.tls13()), mail("to a chrooted smtpd")), "new; ")

	etc := w.onPort25()
	right := map[string]doctor.Severity{"milter": doctor.Fine, "socket": doctor.Fine, "starttls": doctor.Fine, "chroot": ""}
	w.holds(right, examine(t, etc, config))
	for _, tt := range []struct {
		check, spoilt string
		want          string // in what is found
	}{
		{"milter", "smtpd_milters =", "has no milter at " + w.MilterSocket()},
		{"milter", "smtpd_milters = unix:tlsratchet/tlsratchet.sock", ": the default action is not accept"},
		{"chroot", "smtpd_milters = { unix:" + w.MilterSocket() + ", default_action=accept }", "can't see " + w.MilterSocket()},
		{"starttls", "smtpd_tls_security_level = none", "offers no STARTTLS"},
	} {
		postconf(t, etc, tt.spoilt)
		f, ok := examine(t, etc, config)[tt.check]
		if !ok || f.Severity != doctor.Broken || !strings.Contains(f.Text, tt.want) {
			t.Errorf("%s: %+v", tt.spoilt, f)
		}
		mend(t, etc, f.Fix)
		w.holds(right, examine(t, etc, config))
	}
}

// onPort25 is a copy of the instance's configuration that has its listener at
// the port of a public MX, where the tests can't listen.
func (w world) onPort25() (etc string) {
	w.Helper()
	etc = filepath.Join(w.TempDir(), "etc")
	if err := os.CopyFS(etc, os.DirFS(filepath.Join(w.Dir(), "etc"))); err != nil {
		w.Fatal(err)
	}
	master := filepath.Join(etc, "master.cf")
	text, err := os.ReadFile(master)
	if err == nil {
		err = os.WriteFile(master, []byte(strings.Replace(string(text), w.Addr(0), "127.0.0.1:25", 1)), 0o600)
	}
	if err != nil {
		w.Fatal(err)
	}
	settle(w.T, etc)
	return etc
}

// settle makes the files look a minute old: one that was written just now
// Postfix reads again and again, in case it isn't finished.
func settle(t *testing.T, etc string) {
	t.Helper()
	past := time.Now().Add(-time.Minute)
	for _, name := range []string{"main.cf", "master.cf"} {
		if err := os.Chtimes(filepath.Join(etc, name), past, past); err != nil {
			t.Fatal(err)
		}
	}
}

// examine returns the worst finding of each check.
func examine(t *testing.T, etc, config string) map[string]doctor.Finding {
	t.Helper()
	worst := map[string]doctor.Finding{}
	rank := map[doctor.Severity]int{doctor.Fine: 1, doctor.Note: 2, doctor.Broken: 3}
	for _, f := range doctorSays(t, etc, config) {
		if rank[f.Severity] > rank[worst[f.Check].Severity] {
			worst[f.Check] = f
		}
	}
	return worst
}

// doctorSays runs doctor and returns all that it finds. It fails by its exit status
// where something is broken.
func doctorSays(t *testing.T, etc, config string) (all []doctor.Finding) {
	t.Helper()
	cmd := exec.Command(binary, "doctor", "--postfix", etc, "--config", config, "--json")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("doctor: %v\n%s", err, out)
	}
	broken := false
	for line := range strings.Lines(string(out)) {
		var f doctor.Finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		broken = broken || f.Severity == doctor.Broken
		all = append(all, f)
	}
	if broken != (err != nil) {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	return all
}

// holds compares findings; no severity is a check that must have found nothing.
func (w world) holds(want map[string]doctor.Severity, got map[string]doctor.Finding) {
	w.Helper()
	for check, severity := range want {
		if got[check].Severity != severity {
			w.Errorf("%s: want %q, got %+v", check, severity, got[check])
		}
	}
}

// postconf spoils the configuration.
func postconf(t *testing.T, etc, setting string) {
	t.Helper()
	if out, err := exec.Command("postconf", "-c", etc, "-e", setting).CombinedOutput(); err != nil {
		t.Fatalf("postconf -e %s: %v\n%s", setting, err, out)
	}
	settle(t, etc)
}

// mend does what a fix says, as a postmaster would paste it.
func mend(t *testing.T, etc, fix string) {
	t.Helper()
	line, ok := strings.CutPrefix(fix, "postconf ")
	if !ok {
		t.Fatalf("no line to paste: %q", fix)
	}
	if out, err := exec.Command("sh", "-c", "postconf -c \"$0\" "+line, etc).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", fix, err, out)
	}
	settle(t, etc)
}
