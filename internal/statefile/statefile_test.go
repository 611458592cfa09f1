package statefile

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

type state struct {
	Count int
	Names []string
}

func TestWriteAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	f := At(path)
	got := state{Count: 7}
	if err := f.Read(&got); err != nil || got.Count != 7 {
		t.Errorf("reading a file that is not there: %+v, %v", got, err)
	}
	for n := range 3 {
		if err := f.Write(state{n, []string{"a"}}); err != nil {
			t.Fatal(err)
		}
		if err := f.Read(&got); err != nil || got.Count != n {
			t.Errorf("read %+v, %v, want %d", got, err, n)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v, want mode 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(path + ".*"); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// TestTooMuch: whatever is written can be read again; what would make the file
// too large is left out.
func TestTooMuch(t *testing.T) {
	file := At(filepath.Join(t.TempDir(), "state"))
	values := slices.Repeat([]any{strings.Repeat("a", 1<<20)}, 65)
	if err := file.Write(values...); err != nil {
		t.Fatal(err)
	}
	if lines, err := file.Lines(); err != nil || len(lines) != 63 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}

func TestModeIgnoresUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o277))
	path := filepath.Join(t.TempDir(), "state.json")
	if err := os.Chmod(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := At(path).Write(1); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v, want mode 0600", info.Mode(), err)
	}
}

// A link that somebody put into the folder leads nowhere.
func TestLinksAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "state.json")
	if err := os.WriteFile(victim, []byte(`{"Count":1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{path, path + ".new"} {
		if err := os.Symlink(victim, link); err != nil {
			t.Fatal(err)
		}
	}
	var got state
	if err := At(path).Read(&got); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("read through a link: %+v, %v", got, err)
	}
	if err := At(path).Write(state{Count: 2}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(victim)
	b, _ := os.ReadFile(victim)
	if err != nil || string(b) != `{"Count":1}` || info.Mode().Perm() != 0o644 {
		t.Errorf("the target of the link is now %s, %v, %v", b, info.Mode(), err)
	}
	if err := At(path).Read(&got); err != nil || got.Count != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	pipe, bad := filepath.Join(dir, "pipe"), filepath.Join(dir, "bad")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bad, []byte(`{"Count":`), 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(dir, "huge")
	if err := errors.Join(os.WriteFile(huge, []byte("{}"), 0o600), os.Truncate(huge, maxSize+1)); err != nil {
		t.Fatal(err)
	}
	for path, why := range map[string]string{pipe: "not a regular file", bad: "damaged", dir: "not a regular file", huge: "larger than"} {
		if err := At(path).Read(new(state)); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), why) {
			t.Errorf("reading %s: %v", path, err)
		}
	}
}

// What can't take the place of the file is an error, and leaves nothing behind.
func TestWriteThatFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := At(path).Write(1); err == nil {
		t.Error("a folder was replaced")
	}
	if _, err := os.Lstat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is left behind: %v", err)
	}
}

// What root makes in the daemon's folder is the daemon's.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("only root can make files that belong to others")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 12345, 12346); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.json")
	if err := At(path).Write(state{}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 12345 || owner.Gid != 12346 {
		t.Errorf("it belongs to %d:%d", owner.Uid, owner.Gid)
	}
}

func TestNothingIsKept(t *testing.T) {
	got := state{Count: 3}
	if err := (File{}).Write(got); err != nil {
		t.Error(err)
	}
	if err := (File{}).Read(&got); err != nil || got.Count != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}

// FuzzRead: whatever is in the file, reading it ends, and what was read can be
// written and read again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"Count":1,"Names":["a"]}`))
	f.Add([]byte(`{"Count":1e99}`))
	f.Add([]byte(``))
	path := filepath.Join(f.TempDir(), "state.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		var got, again state
		if At(path).Read(&got) != nil {
			return
		}
		if err := At(path).Write(got); err != nil {
			t.Fatal(err)
		}
		if err := At(path).Read(&again); err != nil {
			t.Fatal(err)
		}
		want, _ := json.Marshal(got)
		if have, _ := json.Marshal(again); string(have) != string(want) {
			t.Errorf("%s, want %s", have, want)
		}
	})
}
