package posttest

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tlsratchet/contrib"
)

func TestEntries(t *testing.T) {
	text := `# a comment
a = 1
b =
    { unix:x,
# a comment within a logical line
      y=2 }

  c = not an entry, b goes on
d=3`
	want := [][]string{
		{"a = 1"},
		{"b =", "    { unix:x,", "      y=2 }", "  c = not an entry, b goes on"},
		{"d=3"},
	}
	if diff := cmp.Diff(want, entries(text)); diff != "" {
		t.Error(diff)
	}
}

func TestComposeLastWins(t *testing.T) {
	got := compose("a = 1\nb = 2\n  3\n", "# b\nb = 4\nc =\n", "a=5")
	if want := "b = 4\nc =\na=5\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestComposeProperties(t *testing.T) {
	line := rapid.SampledFrom([]string{"a = 1", "a = 2", "b=3", "b = {", "  x }", "# c", "", "c ="})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(line).Draw(t, "lines"), "\n")
		once := compose(text)
		if twice := compose(once); twice != once {
			t.Fatalf("%q became %q", once, twice)
		}
		last := map[string][]string{}
		for _, e := range entries(text) {
			name, _, _ := strings.Cut(e[0], "=")
			last[strings.TrimSpace(name)] = e
		}
		kept := entries(once)
		if len(kept) != len(last) {
			t.Fatalf("%d settings, want %d", len(kept), len(last))
		}
		for _, e := range kept {
			name, _, _ := strings.Cut(e[0], "=")
			if diff := cmp.Diff(last[strings.TrimSpace(name)], e); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func FuzzEntries(f *testing.F) {
	f.Add("a = 1\n b\n# c\n\n  d\ne=2")
	f.Add(" \t\n \x00=\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		var again []string
		for _, e := range entries(text) {
			again = append(again, strings.Join(e, "\n"))
		}
		if diff := cmp.Diff(entries(text), entries(strings.Join(again, "\n"))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFind(t *testing.T) {
	text := "smtp unix - - n - - smtp\nsmtp inet n - y - - smtpd\n  -o a=b\n  -o c=d\nother inet n - n - - smtpd\n"
	got, err := find(text, "smtp")
	if err != nil || strings.Join(got.fields, " ") != "smtp inet n - y - - smtpd" || len(got.options) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := find(text, "submission"); err == nil {
		t.Error("found what isn't there")
	}
}

// What we hand out must be what Postfix understands: no setting it doesn't
// know, and not a word of complaint.
func TestContribFiles(t *testing.T) {
	if err := Install(os.Stderr); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("postconf", "-dH").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		known[strings.TrimSpace(line)] = true
	}
	names, err := fs.Glob(contrib.Files, "postfix/*.cf.*")
	if err != nil || len(names) < 7 {
		t.Fatalf("%v, %v", names, err)
	}
	option := regexp.MustCompile(`^\s*-o (\w+)=`)
	for _, name := range names {
		text, err := fs.ReadFile(contrib.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		text = withoutNewer(t, text)
		main, _, _ := strings.Cut(path.Base(name), ".cf")
		for _, e := range entries(string(text)) {
			if param, _, _ := strings.Cut(e[0], " ="); main == "main" && !known[param] {
				t.Errorf("%s: Postfix doesn't know %s", name, param)
			}
			for _, line := range e[1:] {
				m := option.FindStringSubmatch(line)
				if main == "master" && (m == nil || !known[m[1]]) {
					t.Errorf("%s: Postfix doesn't know %s", name, line)
				}
			}
		}
		complaints(t, name, main+".cf", text)
	}
}

// withoutNewer leaves out the parameters that this machine's Postfix is too old for:
// the file must name the versions that lack them.
func withoutNewer(t *testing.T, text []byte) []byte {
	t.Helper()
	version, err := mailVersion()
	if err != nil {
		t.Fatal(err)
	}
	if atLeast(version, 3, 6) {
		return text
	}
	newer := regexp.MustCompile(`(?m)^smtpd_relay_before_recipient_restrictions = .*\n`)
	if newer.Match(text) && !bytes.Contains(text, []byte("Postfix 3.4 and 3.5\n# don't know it")) {
		t.Error("a parameter of Postfix 3.6 without a word about older ones")
	}
	return newer.ReplaceAll(text, nil)
}

// complaints has postconf(1) read one part as main.cf or master.cf.
func complaints(t *testing.T, name, file string, text []byte) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range []string{"main.cf", "master.cf"} {
		content := []byte{}
		if f == file {
			content = text
		}
		if err := writeOld(filepath.Join(dir, f), content); err != nil {
			t.Fatal(err)
		}
	}
	table, err := fs.ReadFile(contrib.Files, "postfix/tlsratchet-policy.cf") // main.cf.outbound names it
	if err == nil {
		err = writeOld(filepath.Join(dir, "tlsratchet-policy.cf"), table)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-n"}, {"-M"}, {"-P"}} {
		out, err := exec.Command("postconf", append([]string{"-c", dir}, args...)...).CombinedOutput()
		if err != nil || strings.Contains(string(out), "warning") {
			t.Errorf("%s: postconf %v: %v\n%s", name, args, err, out)
		}
	}
}

func TestHeaderChecksTable(t *testing.T) {
	if err := Install(os.Stderr); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text, err := fs.ReadFile(contrib.Files, "postfix/header_checks.tlsratchet")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"main.cf": nil, "table": text} {
		if err := writeOld(filepath.Join(dir, name), content); err != nil {
			t.Fatal(err)
		}
	}
	for header, want := range map[string]string{
		"X-TLS-Ratchet: downgrade": "IGNORE",
		"x-tls-ratchet:":           "IGNORE",
		"X-TLS-Ratchet-Not: x":     "",
		"Subject: X-TLS-Ratchet: ": "",
	} {
		// postmap exits 1 for what it doesn't find.
		out, _ := exec.Command("postmap", "-c", dir, "-q", header, "regexp:"+filepath.Join(dir, "table")).CombinedOutput()
		if got := strings.TrimSpace(string(out)); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}
