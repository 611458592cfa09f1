package arch_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Every command of the README is run here, but for two: "make test" runs this,
// and "make demo" is a scenario of its own in e2e.
func TestReadmeCommands(t *testing.T) {
	bin := t.TempDir()
	build := inRoot("go", "build", "-o", bin, "./cmd/tlsratchet")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	commands := readmeCommands(t)
	if len(commands) < 8 {
		t.Fatalf("only %d commands found: %q", len(commands), commands)
	}
	for _, line := range commands {
		t.Run(line, func(t *testing.T) {
			args := strings.Fields(line)
			switch {
			case args[0] == "make":
				// -n: that the target and all that it needs is there.
				args = append(args, "-n", "DESTDIR="+t.TempDir())
				runOK(t, inRoot(args[0], args[1:]...))
			case args[0] == "tlsratchet" && args[1] == "serve":
				serveOK(t, filepath.Join(bin, args[0]), private(t, args[1:]))
			case args[0] == "tlsratchet":
				runOK(t, inRoot(filepath.Join(bin, args[0]), args[1:]...))
			default:
				t.Errorf("nobody here knows how to run it")
			}
		})
	}
}

// The commands of the guide are accepted: none of them is wrong usage, and those
// about peers work, on a memory that knows the peers.
func TestGuideCommands(t *testing.T) {
	program := filepath.Join(t.TempDir(), "tlsratchet")
	runOK(t, inRoot("go", "build", "-o", program, "./cmd/tlsratchet"))
	commands := documentedCommands(documents(t)["docs/guide.md"])
	if len(commands) < 8 {
		t.Fatalf("only %q", commands)
	}
	for _, args := range commands {
		if args[0] == "serve" || args[len(args)-1] == "-" { // as in the README; standard input
			continue
		}
		history := filepath.Join(t.TempDir(), "history.db")
		learn := exec.Command(program, "import", "--config", "none", "--history", history, "-")
		learn.Stdin = strings.NewReader(peersOfTheGuide)
		runOK(t, learn)
		if i := slices.Index(args, "--history"); i >= 0 {
			args[i+1] = history
		}
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "TLSRATCHET_HISTORY="+history)
		out, err := cmd.CombinedOutput()
		if err != nil && strings.HasPrefix(args[0], "peer") {
			t.Errorf("%q: %s", args, out)
		} else if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == 2 && !bytes.Contains(out, []byte("no such file")) {
			t.Errorf("%q: %s", args, out)
		}
	}
}

// documentedCommands are the arguments of the commands that a document names, in
// lines of their own or within a sentence, up to what is the shell's.
func documentedCommands(text string) (all [][]string) {
	for _, m := range regexp.MustCompile("(?m)(?:^ {4,}(?:.*[|] )?|`)tlsratchet ([a-z][^`\n>|#()&]*)").FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Fields(m[1]))
	}
	return all
}

// Each command that a document names is one, with flags that it has.
func TestDocumentedCommands(t *testing.T) {
	program := filepath.Join(t.TempDir(), "tlsratchet")
	runOK(t, inRoot("go", "build", "-o", program, "./cmd/tlsratchet"))
	n := 0
	for doc, text := range documents(t) {
		commands := documentedCommands(text)
		if doc == "README.md" { // its table has commands without the program's name
			for _, m := range regexp.MustCompile("(?m)^[|] (`.*?`) [|]").FindAllStringSubmatch(text, -1) {
				for c := range strings.SplitSeq(m[1], "`") {
					if words := strings.Fields(c); len(words) > 0 && words[0] != "," && !slices.Contains([]string{"observe", "header", "quarantine", "tempfail", "reject", "stripped"}, words[0]) {
						commands = append(commands, words)
					}
				}
			}
		}
		for _, args := range commands {
			n++
			at := 1
			if len(args) > 1 && slices.Contains([]string{"show", "unpin", "forget", "test"}, args[1]) {
				at = 2
			}
			with := slices.Insert(slices.Clone(args), at, "--help") // so nothing is done; flags are read all the same
			out, err := exec.Command(program, with...).CombinedOutput()
			if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() == 2) { // 1: no help on an argument
				t.Errorf("%s: tlsratchet %s: %v\n%.200s", doc, strings.Join(args, " "), err, out)
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d commands", n)
	}
}

const peersOfTheGuide = `{"identity":"address:192.0.2.10","history":{"first":"2026-05-01","last":"2026-05-01","seen":{"none":"1"},"weeks_none":"1"}}
{"identity":"domain:bank.example","history":{"first":"2026-05-01","last":"2026-05-01","seen":{"none":"1"},"weeks_none":"1"}}
`

// readmeCommands are the lines of its sh blocks.
func readmeCommands(t *testing.T) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(text, -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(string(block[1])), "\n")...)
	}
	return lines
}

// inRoot is a command that runs at the top of the tree.
func inRoot(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = root
	return cmd
}

func runOK(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// private has a command use a socket and a history of the test's own.
func private(t *testing.T, args []string) []string {
	dir := t.TempDir()
	if i := slices.Index(args, "--listen"); i >= 0 {
		args[i+1] = "unix:" + filepath.Join(dir, "m.sock")
	} else {
		args = append(args, "--listen", "unix:"+filepath.Join(dir, "m.sock"))
	}
	if slices.Index(args, "--history") < 0 {
		args = append(args, "--history", filepath.Join(dir, "history.db"))
	}
	return args
}

// serveOK starts a daemon and ends it once it serves.
func serveOK(t *testing.T, program string, args []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = root
	var log lockedBuffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for ctx.Err() == nil && !strings.Contains(log.String(), "msg=serving") {
		time.Sleep(10 * time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Links of the documents lead somewhere.
func TestLinks(t *testing.T) {
	for doc, text := range documents(t) {
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], ":") {
				continue // elsewhere
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s: %v", doc, err)
			}
		}
	}
}
