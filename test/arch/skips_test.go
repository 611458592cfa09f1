package arch_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// asked are the files whose tests are run by targets of their own, which ask for them by
// a flag.
var asked = []string{"test/packaging/packaging_test.go", "test/sendmail/sendmail_test.go"}

// No test passes because it can't run: it fails then.
func TestNothingIsSkipped(t *testing.T) {
	skips := regexp.MustCompile(`\b[bft]\.Skip(f|Now)?\(`)
	read := 0
	err := filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		read++
		for _, own := range asked {
			if strings.HasSuffix(name, own) {
				return nil
			}
		}
		if at := skips.FindIndex(text); at != nil {
			t.Errorf("%s skips a test", name)
		}
		return nil
	})
	if err != nil || read < 100 {
		t.Errorf("%d files, %v", read, err)
	}
}
