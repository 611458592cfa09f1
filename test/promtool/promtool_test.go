package promtool_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"tlsratchet/test/promtool"
)

// TestFind: it is found, twice the same, and works.
func TestFind(t *testing.T) {
	first, err := promtool.Find(t.Context(), "promtool")
	if err != nil {
		t.Fatal(err)
	}
	again, err := promtool.Find(t.Context(), "promtool")
	if err != nil || again != first {
		t.Errorf("%s, then %s: %v", first, again, err)
	}
	out, err := exec.CommandContext(t.Context(), first, "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "promtool") {
		t.Errorf("%s: %v", out, err)
	}
}

// TestMissing: without apt-get, in words.
func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err := promtool.Find(context.Background(), "promtool")
	if !errors.Is(err, promtool.ErrMissing) || !strings.Contains(err.Error(), "apt-get") {
		t.Error(err)
	}
}
