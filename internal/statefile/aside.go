package statefile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	asideMark = ".damaged-"
	asideTime = "2006-01-02T150405.000Z"
	// asideKept is how many files are set aside: they may be large.
	asideKept = 3
)

// SetAside gives a damaged file a dated name too, or where there are no hard links
// instead, and returns it. Of the files that were set aside before, it removes the oldest
// but two, and returns these: first those of which isNeeded, if not nil, is false.
func (f File) SetAside(now time.Time, isNeeded func(name string) bool) (aside string, removed []string, err error) {
	aside = f.path + asideMark + now.UTC().Format(asideTime)
	before := f.Asides()
	info, _ := os.Lstat(f.path)
	for _, name := range before {
		if other, err := os.Lstat(name); err == nil && os.SameFile(info, other) {
			return name, nil, nil // nothing else could be put in its place since
		}
	}
	if slices.Contains(before, aside) { // two in a millisecond
		return f.SetAside(now.Add(time.Millisecond), isNeeded)
	}
	if err = os.Link(f.path, aside); err != nil {
		err = os.Rename(f.path, aside)
	}
	if err != nil {
		return "", nil, err
	}
	for len(before) >= asideKept {
		first := max(slices.IndexFunc(before, func(name string) bool { return isNeeded == nil || !isNeeded(name) }), 0)
		if os.Remove(before[first]) == nil {
			removed = append(removed, before[first])
		}
		before = slices.Delete(before, first, first+1)
	}
	return aside, removed, nil
}

// Asides returns the files that were set aside, the oldest first.
func (f File) Asides() (names []string) {
	dir, base := filepath.Split(f.path)
	files, _ := os.ReadDir(filepath.Clean(dir)) // in the order of their names, and so of their dates
	for _, f := range files {
		if strings.HasPrefix(f.Name(), base+asideMark) && strings.HasSuffix(f.Name(), "Z") {
			names = append(names, filepath.Join(dir, f.Name()))
		}
	}
	return names
}
