package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlsratchet/tlsstate"
)

// run runs this test binary in another role, on the file.
func run(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "STORE_TEST_CHILD="+role, "STORE_TEST_PATH="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// child is the main of those roles.
func child(role, path string) int {
	if role == "readonly" {
		return readOnly(path)
	}
	f, err := Open(path, Options{ReadTimeout: patience})
	if err != nil {
		fmt.Println(err)
		return 2
	}
	switch role {
	case "hold": // until it is killed
		for i := range 50 {
			_, err = f.Update(peer(i), netip.Addr{}, today, merging(seen(6)))
		}
		fmt.Println("held", err)
		select {}
	case "full":
		err = fullDisk(f, path)
	case "stopped":
		_, err = ask(f, stoppedLimit, func() (struct{}, error) {
			err := syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			time.Sleep(stoppedLimit / 8) // the answer is not here yet when it runs again
			return struct{}{}, err
		})
	}
	if err := errors.Join(err, f.Close()); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// readOnly opens a damaged file that may not be written to.
func readOnly(path string) int {
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{}); err != nil {
		fmt.Println(err)
		return 2
	}
	f, err := OpenOrRecover(path, Options{Logger: slog.New(slog.NewTextHandler(os.Stdout, nil)), ReadTimeout: patience})
	if err == nil {
		fmt.Println("identities:", f.Len())
		err = f.Close()
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// Where damaged records can't be removed, and no snapshot is there to take the
// place of the file, it serves as it is, and the log says what follows.
func TestDamagedRecordsThatStay(t *testing.T) {
	path := fill(t, 10)
	flipRecord(t, path, peer(7))
	before := read(t, path)
	out, err := run(t, "readonly", path).Output()
	if err != nil || !strings.Contains(string(out), "identities: 9\n") || strings.Count(string(out), "damaged records stay in the history file") != 1 {
		t.Errorf("%v:\n%s", err, out)
	}
	if !bytes.Equal(read(t, path), before) {
		t.Error("it was written to")
	}
}

// stoppedLimit is how long a read may take whose process stands still for longer.
const stoppedLimit = 2 * time.Second

// TestStopped: a read does not fail for the time in which its process does not run, as
// on a machine that is too busy, or that is paused.
func TestStopped(t *testing.T) {
	reader, out := run(t, "stopped", newPath(t)), &strings.Builder{}
	reader.Stdout = out
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(reader.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("it did not stop: %#x, %v, %s", status, err, out)
	}
	time.Sleep(stoppedLimit * 3 / 2)
	if err := errors.Join(reader.Process.Signal(syscall.SIGCONT), reader.Wait()); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	path := newPath(t)
	holder := run(t, "hold", path)
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held <nil>\n" {
		t.Fatalf("the first process prints %q, %v", line, err)
	}
	_, err = Open(path, Options{LockTimeout: 60 * time.Millisecond})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open: %v", err)
	}
	output, err := run(t, "once", path).Output()
	if err == nil || !strings.Contains(string(output), "in use by another process") {
		t.Errorf("a third process prints %q, %v", output, err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	f := mustOpen(t, path, Options{}) // kill -9 lets go of it
	if n := f.Len(); n != 0 && n != 50 {
		t.Errorf("%d histories: a group came in part", n)
	}
}

// A real file system that refuses to let the file grow, as a full one does.
func TestAFullDisk(t *testing.T) {
	path := newPath(t)
	if output, err := run(t, "full", path).Output(); err != nil {
		t.Fatalf("%v:\n%s", err, output)
	}
	f := mustOpen(t, path, Options{})
	if f.Len() != 5000 || f.Stats().Damaged != 0 {
		t.Errorf("%d histories, %+v", f.Len(), f.Stats())
	}
	for i := range 5000 {
		if h, err := f.Load(peer(i)); err != nil || h != seen(6) {
			t.Fatalf("Load(%s) = %+v, %v", peer(i), h, err)
		}
	}
}

// fullDisk writes until the file may not grow, sees that all is still known,
// and writes the rest when it may again. The limit is the whole process's.
func fullDisk(f *File, path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	tight := syscall.Rlimit{Cur: uint64(info.Size()) + 200_000, Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &tight); err != nil {
		return err
	}
	refused := 0
	for i := range 5000 {
		if _, err := f.Update(peer(i), netip.Addr{}, today, merging(seen(6))); err != nil {
			return err
		}
		if i%500 == 499 {
			if err := f.Flush(context.Background()); err != nil {
				refused++
			}
		}
	}
	if refused == 0 {
		return errors.New("the disk was never full")
	}
	for i := range 5000 {
		if h, err := f.Load(peer(i)); err != nil || h != seen(6) {
			return fmt.Errorf("while the disk is full, %s is %+v, %w", peer(i), h, err)
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	return f.Flush(context.Background())
}

// A file that is cut short under a running store: SIGBUS for whoever reads
// what is gone. The store must live, and say so.
func TestAFileCutShortWhileInUse(t *testing.T) {
	path := fill(t, 3000)
	var log lines
	f, err := Open(path, Options{Logger: log.logger(), ReadTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load(peer(1)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := f.Load(peer(1000 + i)); !errors.Is(err, ErrDamaged) {
			t.Errorf("Load: %v", err)
		}
	}
	if h, err := f.Load(peer(1)); err != nil || h == (tlsstate.History{}) {
		t.Errorf("what is cached: %+v, %v", h, err)
	}
	mustMerge(t, f, peer(1), seen(12))
	if err := f.Flush(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("Flush: %v", err)
	}
	seq, failed := f.All(tlsstate.Identity{})
	for range seq {
		t.Error("All found something")
	}
	if err := failed(); !errors.Is(err, ErrDamaged) {
		t.Errorf("All: %v", err)
	}
	if err := f.Close(); !errors.Is(err, ErrDamaged) {
		t.Errorf("Close: %v", err)
	}
	if n := len(log.with("damaged data")); n != 1 {
		t.Errorf("logged %d times", n)
	}
}
