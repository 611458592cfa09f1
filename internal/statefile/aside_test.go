package statefile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSetAside: what is set aside has a dated name, and the newest three stay. The folder
// may have any name, and so may the file.
func TestSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a[b*", "history[1].db")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 18, 30, 0, 7e6, time.UTC)
	var all []string
	for n, want := range []string{"22T183000.007Z", "22T183000.008Z", "22T203000.007Z", "22T213000.007Z", "22T223000.007Z"} {
		if err := os.WriteFile(path, []byte{byte(n)}, 0o600); err != nil {
			t.Fatal(err)
		}
		at := now
		if n > 1 { // the first two in one millisecond
			at = now.Add(time.Duration(n) * time.Hour)
		}
		name, removed, err := At(path).SetAside(at, nil)
		if all = append(all, name); name != path+".damaged-2026-11-"+want || err != nil {
			t.Errorf("set aside as %s, %v", name, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error("for a moment there is none")
		}
		if len(removed) > 1 || (len(removed) == 1) != (n >= 3) || n >= 3 && removed[0] != all[n-3] {
			t.Errorf("%d: removed %q", n, removed)
		}
		os.Remove(path)
	}
	if got := At(path).Asides(); !slices.Equal(got, all[2:]) {
		t.Errorf("beside it: %q", got)
	}
	if b, err := os.ReadFile(all[2]); err != nil || b[0] != 2 {
		t.Errorf("%v, %v", b, err)
	}
}

// TestSetAsideSparesWhatIsNeeded as long as there is something else to remove.
func TestSetAsideSparesWhatIsNeeded(t *testing.T) {
	for needed, want := range map[string]string{"": "1", "1": "2", "12": "3", "123": "1", "23": "1"} {
		path := filepath.Join(t.TempDir(), "state")
		for n := range 3 {
			if err := os.WriteFile(fmt.Sprint(path, ".damaged-2026-11-22T18300", n+1, ".000Z"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		number := func(name string) string {
			return strings.TrimSuffix(name, ".000Z")[len(path)+len(".damaged-2026-11-22T18300"):]
		}
		_, removed, err := At(path).SetAside(time.Now(), func(name string) bool { return strings.Contains(needed, number(name)) })
		if err != nil || len(removed) != 1 || number(removed[0]) != want {
			t.Errorf("%q is needed: removed %q, %v", needed, removed, err)
		}
		if _, err := os.Stat(removed[0]); err == nil {
			t.Errorf("%s is still there", removed[0])
		}
	}
}

// TestSetAsideFails: where the file gets no other name, nothing is removed for it.
func TestSetAsideFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for n := range 3 {
		if err := os.WriteFile(fmt.Sprint(path, ".damaged-2026-11-22T18300", n, ".000Z"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if aside, removed, err := At(path).SetAside(time.Now(), nil); err == nil || aside != "" || removed != nil || len(At(path).Asides()) != 3 {
		t.Errorf("set aside as %q, removed %q, %v", aside, removed, err)
	}
}

// TestSetAsideBesideAFolder: what can't be removed is not called removed.
func TestSetAsideBesideAFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for n := range 3 {
		if err := os.MkdirAll(fmt.Sprint(path, ".damaged-2026-11-22T18300", n, ".000Z/full"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if aside, removed, err := At(path).SetAside(time.Now(), nil); err != nil || removed != nil || !slices.Contains(At(path).Asides(), aside) {
		t.Errorf("set aside as %q, removed %q, %v", aside, removed, err)
	}
}

// TestSetAsideAgain: a file that is still in its place, because no other could be written,
// pushes out no older one at each start.
func TestSetAsideAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	var all []string
	for n := range 3 {
		if err := os.WriteFile(path, []byte{byte(n)}, 0o600); err != nil {
			t.Fatal(err)
		}
		for start := range 3 {
			name, removed, err := At(path).SetAside(time.Date(2026, 11, 22, n, start, 0, 0, time.UTC), nil)
			if err != nil || removed != nil {
				t.Errorf("removed %q, %v", removed, err)
			}
			if start == 0 {
				all = append(all, name)
			}
			if got := At(path).Asides(); name != all[n] || !slices.Equal(got, all) {
				t.Errorf("set aside as %s; beside it: %q", name, got)
			}
		}
		os.Remove(path)
	}
}
