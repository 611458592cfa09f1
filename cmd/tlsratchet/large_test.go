package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var identities = flag.Int("identities", 50_000, "of the memory that BenchmarkPeers lists")

// BenchmarkPeers lists a large memory, as in docs/commands.md: the time is
// that from the start of the command to its first row.
func BenchmarkPeers(b *testing.B) {
	dir := b.TempDir()
	history := filepath.Join(dir, "history.db")
	if err := makeMemory(history, *identities); err != nil {
		b.Fatal(err)
	}
	b.Run("no daemon", func(b *testing.B) {
		for b.Loop() {
			firstRow(b, history)
		}
	})
	daemon := startDaemon(b, dir, history)
	b.Run("daemon", func(b *testing.B) {
		for b.Loop() {
			firstRow(b, history)
		}
	})
	b.Run("all of it", func(b *testing.B) {
		for b.Loop() {
			listAll(b, history, daemon.Process.Pid)
		}
	})
}

// startDaemon serves a history until the benchmark ends.
func startDaemon(b *testing.B, dir, history string) *exec.Cmd {
	b.Helper()
	cmd := exec.Command("tlsratchet", "serve", "--listen", "unix:"+filepath.Join(dir, "m.sock"), "--history", history)
	cmd.Env = append(os.Environ(), "TLSRATCHET_STATUS_LISTEN=off")
	log, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for r := bufio.NewReader(log); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			b.Fatalf("serve: %v: %s", err, line)
		}
		if strings.Contains(line, "msg=serving") {
			go io.Copy(io.Discard, r)
			return cmd
		}
	}
}

func peersOf(b *testing.B, history string) (*exec.Cmd, *bufio.Reader) {
	b.Helper()
	cmd := exec.Command("tlsratchet", "peers", "--history", history)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return cmd, bufio.NewReader(out)
}

// firstRow lists until the first row is there.
func firstRow(b *testing.B, history string) {
	cmd, out := peersOf(b, history)
	for _, want := range []string{"IDENTITY", "address:"} {
		if line, err := out.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
			b.Fatalf("%q, %v", line, err)
		}
	}
	b.StopTimer()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	b.StartTimer()
}

// listAll lists all and reports what memory that took, of the daemon beyond
// what it had before, and of the command.
func listAll(b *testing.B, history string, daemon int) {
	before, most, command, rows := anonymous(b, daemon), 0, 0, 0
	began := time.Now()
	cmd, out := peersOf(b, history)
	for ; ; rows++ {
		if _, err := out.ReadSlice('\n'); err == io.EOF {
			break
		} else if err != nil {
			b.Fatal(err)
		}
		if rows%(*identities/20) == 0 && rows < *identities/10*9 { // it may have ended by the last rows
			most = max(most, anonymous(b, daemon))
			command = max(command, anonymous(b, cmd.Process.Pid))
		}
	}
	if err := cmd.Wait(); err != nil || rows < *identities {
		b.Fatalf("%d rows, %v", rows, err)
	}
	b.ReportMetric(float64(rows)/time.Since(began).Seconds(), "rows/s")
	b.ReportMetric(float64(most-before)/1024, "MiB-daemon")
	b.ReportMetric(float64(command)/1024, "MiB-command")
}

// anonymous is the memory of a process that is no file's, in KiB.
func anonymous(b *testing.B, pid int) (kib int) {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	lines := bytes.Split(status, []byte("\n"))
	at := slices.IndexFunc(lines, func(l []byte) bool { return bytes.HasPrefix(l, []byte("RssAnon:")) })
	if at < 0 {
		b.Fatal("no RssAnon")
	}
	if _, err := fmt.Sscanf(string(lines[at]), "RssAnon: %d kB", &kib); err != nil {
		b.Fatal(err)
	}
	return kib
}
