// Package packaging_test checks what packaging/ makes. Builds take a minute:
// they run with -packages, which make package-test sets.
package packaging_test

import (
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	packages = flag.Bool("packages", false, "build the packages twice and check them")
	released = flag.String("released", "", "check the files of a release in this `folder`")
)

const root = "../.."

// run runs a command in a folder and returns its output.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// copyTree copies what git knows, without .git.
func copyTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	run(t, root, "sh", "-c", `git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$0"`, dir)
	return dir
}

// The version comes from the changelog also without git.
func TestVersion(t *testing.T) {
	dir := copyTree(t)
	if got := run(t, dir, "packaging/version"); !regexp.MustCompile(`^\d+\.\d+\.\d+\n$`).MatchString(got) {
		t.Errorf("version %q", got)
	}
	if got := run(t, dir, "packaging/version", "date"); !regexp.MustCompile(`^\d{10}\n$`).MatchString(got) {
		t.Errorf("date %q", got)
	}
	changelog := filepath.Join(dir, "CHANGELOG.md")
	if err := os.WriteFile(changelog, []byte("# Changelog\n\n## 1.2.3 (2026-11-26)\n\n## 1.2.2 (2026-01-01)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, date := run(t, dir, "packaging/version"), run(t, dir, "packaging/version", "date"); v != "1.2.3\n" || date != "1795651200\n" {
		t.Errorf("%q, %q", v, date)
	}
}

// README installs the package of this version.
func TestReadmeVersion(t *testing.T) {
	readme, err := os.ReadFile(root + "/README.md")
	if name := "tlsratchet_" + strings.TrimSpace(run(t, root, "packaging/version")) + "-1_amd64.deb"; err != nil || !strings.Contains(string(readme), name) {
		t.Errorf("README.md does not name %s, %v", name, err)
	}
}

// The shell accepts the maintainer scripts, and the configuration is valid.
func TestScripts(t *testing.T) {
	for _, pattern := range []string{"version", "notices", "build", "release", "../test/versions", "../test/systemd/run", "../test/container/run", "../test/systemd/inside/*", "deb/p*", "rpm/*"} {
		files, err := filepath.Glob(filepath.Join(root, "packaging", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			shell := "sh"
			if strings.HasPrefix(string(text), "#!/usr/bin/env bash") || strings.HasPrefix(string(text), "#!/bin/bash") {
				shell = "bash"
			}
			run(t, ".", shell, "-n", f)
		}
	}
	run(t, root, "go", "run", "./cmd/tlsratchet", "check", "--config", "packaging/tlsratchet.toml")
}

// make install, then uninstall, leaves nothing.
func TestInstall(t *testing.T) {
	dest := t.TempDir()
	run(t, root, "make", "install", "DESTDIR="+dest)
	unit, err := os.ReadFile(filepath.Join(dest, "usr/local/lib/systemd/system/tlsratchet.service"))
	if err != nil || !strings.Contains(string(unit), "ExecStart=/usr/local/sbin/tlsratchet serve") || strings.Contains(string(unit), " /usr/sbin/") {
		t.Errorf("%v\n%s", err, unit)
	}
	version := strings.TrimSpace(run(t, root, "packaging/version"))
	if got := run(t, ".", filepath.Join(dest, "usr/local/sbin/tlsratchet"), "version"); !strings.HasPrefix(got, "tlsratchet "+version+" ") {
		t.Errorf("%s", got)
	}
	checkLinks(t, filepath.Join(dest, "usr/local/share/doc/tlsratchet"))
	run(t, root, "make", "uninstall", "DESTDIR="+dest)
	if left := run(t, dest, "find", ".", "-type", "f"); left != "" {
		t.Errorf("left: %s", left)
	}
}

// checkLinks: what the installed documents link to is installed too.
func checkLinks(t *testing.T, dir string) {
	t.Helper()
	for _, doc := range strings.Fields(run(t, dir, "find", ".", "-name", "*.md")) {
		text, err := os.ReadFile(filepath.Join(dir, doc))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^):#]+)[)#]`).FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(dir, filepath.Dir(doc), string(m[1]))); err != nil {
				t.Errorf("%s: %v", doc, err)
			}
		}
	}
}

// Two builds in two folders give the same bytes, and lintian has no complaint.
func TestPackages(t *testing.T) {
	if !*packages {
		t.Skip("make package-test builds them")
	}
	var sums [2]map[string]string
	for i, dir := range []string{copyTree(t), copyTree(t)} { // both before the first build, which takes its time
		run(t, dir, "packaging/build", "amd64")
		sums[i] = map[string]string{}
		files, err := filepath.Glob(filepath.Join(dir, "build/packages/*"))
		if err != nil || len(files) != 2 {
			t.Fatalf("%q, %v", files, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			sums[i][filepath.Base(f)] = fmt.Sprintf("%x", sha256.Sum256(b))
			if i == 0 {
				checkPackage(t, f)
			}
		}
	}
	for name, sum := range sums[0] {
		t.Logf("%s %s", sum, name)
		if sums[1][name] != sum {
			t.Errorf("%s: %s in the other folder", name, sums[1][name])
		}
	}
}

// What make release built is whole: each file has its sum, each system its binary,
// each architecture of Linux its two packages, and all state one version.
func TestReleased(t *testing.T) {
	if *released == "" {
		t.Skip("make release checks them")
	}
	dir := *released
	version := strings.TrimSpace(run(t, root, "packaging/version"))
	run(t, dir, "sha256sum", "--check", "--strict", "SHA256SUMS")
	sums := run(t, dir, "cat", "SHA256SUMS")
	targets := strings.Fields(run(t, root, "make", "-s", "print-targets"))
	linux := 0
	for _, target := range targets {
		archive := fmt.Sprintf("tlsratchet-%s-%s.tar.gz", version, strings.ReplaceAll(target, "/", "-"))
		if got := run(t, dir, "tar", "--list", "--file", archive); got != "tlsratchet\n" || !strings.Contains(sums, "  "+archive+"\n") {
			t.Errorf("%s has %q", archive, got)
		}
		if strings.HasPrefix(target, "linux/") {
			linux++
		}
	}
	files, err := filepath.Glob(dir + "/*[bm]") // .deb and .rpm
	if err != nil || len(files) != 2*linux || strings.Count(sums, "\n") != len(targets)+len(files) {
		t.Errorf("%d packages for %d architectures, %v, and these sums:\n%s", len(files), linux, err, sums)
	}
	for _, f := range files {
		if name := filepath.Base(f); !strings.Contains(name, version+"-1") || !strings.Contains(sums, "  "+name+"\n") {
			t.Errorf("%s is no package of %s, or has no sum", name, version)
		}
		checkPackage(t, f)
	}
	out := t.TempDir()
	run(t, dir, "tar", "--extract", "--directory", out, "--file", "tlsratchet-"+version+"-linux-amd64.tar.gz")
	if got := run(t, out, "./tlsratchet", "version"); !strings.HasPrefix(got, "tlsratchet "+version+" ") {
		t.Errorf("the binary is %s", got)
	}
}

// packaged are files of both packages.
var packaged = []string{
	"/etc/tlsratchet/tlsratchet.toml", "/usr/sbin/tlsratchet", "/usr/lib/systemd/system/tlsratchet.service", "/usr/lib/systemd/system/tlsratchet.socket",
	"/usr/share/man/man8/tlsratchet.8.gz", "/usr/share/bash-completion/completions/tlsratchet", "/usr/share/zsh/site-functions/_tlsratchet",
	"/usr/share/fish/vendor_completions.d/tlsratchet.fish", "/usr/share/doc/tlsratchet/README.md", "/usr/share/doc/tlsratchet/contrib/postfix/README.md",
	"/usr/share/doc/tlsratchet/third-party-notices.txt", "/usr/share/doc/tlsratchet/sbom.cdx.json",
}

func checkPackage(t *testing.T, file string) {
	const conffiles = "/etc/tlsratchet/tlsratchet.toml\n"
	var list, kept string
	if strings.HasSuffix(file, ".deb") {
		if out := run(t, ".", "lintian", "--fail-on", "error,warning", "--allow-root", file); strings.Contains(out, "tlsratchet:") {
			t.Errorf("lintian: %s", out)
		}
		list, kept = run(t, ".", "dpkg-deb", "--contents", file), run(t, ".", "dpkg-deb", "--info", file, "conffiles")
		checkContents(t, file)
	} else {
		list, kept = run(t, ".", "rpm", "-qpl", file), run(t, ".", "rpm", "-qpc", file)
	}
	for _, name := range packaged {
		if !strings.Contains(list, name+"\n") {
			t.Errorf("no %s in %s", name, file)
		}
	}
	if kept != conffiles {
		t.Errorf("%s: configuration files %q", file, kept)
	}
}

// checkContents: the binary has no symbols, and each of its modules is in the
// notices and in the bill of materials.
func checkContents(t *testing.T, deb string) {
	dir := t.TempDir()
	run(t, ".", "dpkg-deb", "--extract", deb, dir)
	binary := dir + "/usr/sbin/tlsratchet"
	if f, err := elf.Open(binary); err != nil || f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
		t.Errorf("not stripped, %v", err)
	}
	info, err := buildinfo.ReadFile(binary)
	notices, err1 := os.ReadFile(dir + "/usr/share/doc/tlsratchet/third-party-notices.txt")
	sbom, err2 := os.ReadFile(dir + "/usr/share/doc/tlsratchet/sbom.cdx.json")
	if err := errors.Join(err, err1, err2); err != nil || len(info.Deps) == 0 {
		t.Fatal(err)
	}
	for _, m := range info.Deps {
		if !strings.Contains(string(notices), "==== "+m.Path+" "+m.Version+"\n") || !strings.Contains(string(sbom), `"pkg:golang/`+m.Path+"@"+m.Version) {
			t.Errorf("%s %s is not in the notices or not in the SBOM", m.Path, m.Version)
		}
	}
}

// A release is made from a clean tree, tagged as the changelog's version.
func TestReleaseRefuses(t *testing.T) {
	dir := copyTree(t)
	git := func(args ...string) {
		run(t, dir, "git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.org"}, args...)...)
	}
	refused := func(want string) {
		t.Helper()
		cmd := exec.Command("packaging/release")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v, want %q:\n%s", err, want, out)
		}
	}
	git("init", "--quiet")
	refused("changes that are not committed")
	git("add", "--all")
	git("commit", "--quiet", "--message", "all")
	version := strings.TrimSpace(run(t, dir, "packaging/version"))
	refused("this commit is not tagged v" + version)
	git("tag", "-a", "v"+version, "-m", "x")
	run(t, dir, "sed", "-i", "0,/^## /s/^## .*/## Unreleased: "+version+"/", "CHANGELOG.md")
	git("commit", "--quiet", "--allow-empty", "--all", "--message", "unreleased")
	git("tag", "-f", "-a", "v"+version, "-m", "x")
	refused("CHANGELOG.md begins with")
}
