package e2e

import (
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tlsratchet/test/posttest"
)

// TestGuideTrial does what docs/guide.md has a postmaster do without a second
// host, line by line, at a Postfix of its own.
func TestGuideTrial(t *testing.T) {
	swaks(t)
	lines := guideLines(t, "## Try it without a second host")
	w := world{T: t, Instance: newPostfix(t, posttest.Options{})}
	host, port, err := net.SplitHostPort(w.Addr(0))
	if err != nil {
		t.Fatal(err)
	}
	trial := filepath.Join(t.TempDir(), "trial")
	here := strings.NewReplacer("/root/trial", trial, "--server 127.0.0.1", "--server "+host+":"+port, "--to root", "--to "+mail("").To[0])
	run := func(line string) string { return w.shell(here.Replace(line)) }
	var d *daemon
	done := ""
	for _, line := range lines {
		switch word, rest, _ := strings.Cut(line, " "); {
		case word == "systemctl":
			continue
		case word == "tlsratchet" && strings.HasPrefix(rest, "serve "):
			flags := strings.Fields(here.Replace(rest))[1:]
			d = launch(t, exec.Command(binary, append([]string{"serve", "--config", "none", "--listen", "unix:" + w.MilterSocket()}, flags...)...))
		case word == "tlsratchet" && strings.HasPrefix(rest, "peer show"):
			w.has(run(line), "Pinned at TLSv1.2")
		case word == "postconf" && strings.Contains(rest, "-X"): // before it is undone, the part in words
			run(strings.Replace(done, " --tls", "", 1))
			w.has(d.wait("msg=downgrade"), "identity=address:192.0.2.10")
			m, err := w.WaitMail(limit(t), func(m posttest.Message) bool { return m.Header.Get("X-TLS-Ratchet") != "" })
			if err != nil {
				t.Fatal(err)
			}
			w.has(m.Header.Get("X-TLS-Ratchet"), "downgrade; kind=stripped; identity=address:192.0.2.10")
			run(line)
			if got := run("postconf -h smtpd_authorized_xclient_hosts"); strings.TrimSpace(got) != "" {
				t.Errorf("anybody may still use XCLIENT: %s", got)
			}
		case word == "swaks":
			done = line
			run(line)
		default:
			run(line)
		}
	}
	if d == nil || done == "" {
		t.Fatalf("the guide has no trial: %q", lines)
	}
}

// TestGuideCertificate makes the certificate of a private MX as the guide says.
func TestGuideCertificate(t *testing.T) {
	w := world{T: t, Instance: newPostfix(t, posttest.Options{Parts: []string{"main.cf.tlsratchet"}})}
	offers := func() bool {
		c := w.connect(w.bank("192.0.2.10", nil))
		_, ok := c.Offers("STARTTLS")
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
		return ok
	}
	if offers() {
		t.Fatal("STARTTLS is offered already: nothing is shown")
	}
	for _, line := range guideLines(t, "## A certificate for a private MX") {
		w.shell(strings.ReplaceAll(line, "/etc/postfix", filepath.Join(w.Dir(), "etc")))
	}
	eventually(t, "STARTTLS is offered", offers) // smtpd(8) of before the reload may answer once more
	w.connect(w.bank("192.0.2.10", &tls.Config{InsecureSkipVerify: true}))
}

// TestGuideRow: the row of the guide for a partner's mail domain is a valid one.
func TestGuideRow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tlsratchet.toml")
	row := strings.Join(guideLines(t, "## A partner wants TLS"), "\n")
	if err := os.WriteFile(file, []byte(row), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(binary, "check", "--config", file).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "sender = \"partner.example\"") {
		t.Errorf("%v\n%s", err, out)
	}
}

// shell runs a line as root of this Postfix's host would.
func (w world) shell(line string) string {
	w.Helper()
	cmd := exec.Command("sh", "-ec", line)
	cmd.Env = append(os.Environ(), "MAIL_CONFIG="+filepath.Join(w.Dir(), "etc"), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// guideLines are the commands of a section of the guide, up to its end or to
// what it says of logs.
func guideLines(t *testing.T, section string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), section)
	after, _, _ = strings.Cut(after, "\n## ")
	after, _, _ = strings.Cut(after, "\nWhat a log would have led to")
	after = strings.ReplaceAll(after, "\\\n", " ")
	var lines []string
	for _, m := range regexp.MustCompile(`(?m)^    (\S.*)$`).FindAllStringSubmatch(after, -1) {
		lines = append(lines, m[1])
	}
	return lines
}

// swaks sees to it that swaks is there, with TLS, as the guide says.
func swaks(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("swaks"); err == nil {
		return
	}
	for _, name := range []string{"swaks", "libnet-ssleay-perl"} {
		if err := posttest.InstallPackage(t.Context(), os.Stderr, name); err != nil {
			t.Fatalf("no swaks: %v", err)
		}
	}
}
