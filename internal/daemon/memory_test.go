package daemon

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tlsratchet/internal/config"
	"tlsratchet/tlsstate/store"
)

// A memory that root starts by a command is the daemon's, with all its files.
func TestMayStartAsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("only root can make files that belong to others")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 12345, 12346); err != nil {
		t.Fatal(err)
	}
	history := filepath.Join(dir, "history.db")
	cfg, err := config.Load("", func(string) (string, bool) { return "", false }, config.Flags{"history": history})
	if err != nil {
		t.Fatal(err)
	}
	a, err := Operate(t.Context(), cfg, io.Discard, MayStart)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil || len(files) == 0 { // incidents have a file from the first one on
		t.Fatal(files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 12345 || owner.Gid != 12346 {
			t.Errorf("%s belongs to %d:%d", f, owner.Uid, owner.Gid)
		}
	}
}

// A command that is refused for a missing history, of which there is a snapshot,
// makes no empty one.
func TestMayStartBesideASnapshot(t *testing.T) {
	history := filepath.Join(t.TempDir(), "history.db")
	if err := os.WriteFile(history+".snapshot-1", []byte("of a history"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load("", func(string) (string, bool) { return "", false }, config.Flags{"history": history})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Operate(t.Context(), cfg, io.Discard, MayStart); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(history); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty history was left: %v", err)
	}
}

// TestKeepDays: what nobody sees is kept for as long as its pin may last, that of
// a destination too.
func TestKeepDays(t *testing.T) {
	d := &Daemon{}
	load := func(env map[string]string) *config.Config {
		cfg, err := config.Load("", func(name string) (string, bool) { v, ok := env[name]; return v, ok }, nil)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	keep := storeOptions(load(nil), d.config.Load, nil).KeepDays
	for want, env := range map[int]map[string]string{
		180 + 448: nil,
		200 + 448: {"TLSRATCHET_POLICY_PIN_MAX_AGE_DAYS": "200"},
		900 + 448: {"TLSRATCHET_OUTBOUND_PIN_MAX_AGE_DAYS": "900"},
		500 + 448: {"TLSRATCHET_POLICY_PIN_MAX_AGE_DAYS": "500", "TLSRATCHET_OUTBOUND_PIN_MAX_AGE_DAYS": "90"},
	} {
		d.config.Store(load(env)) // as a reload does
		if got := keep(); got != want {
			t.Errorf("%v: %d days, want %d", env, got, want)
		}
	}
}
