// Package promtool finds Debian's Prometheus for tests: installed, or else
// unpacked into the user's cache, so that the machine stays as it is.
package promtool

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"

	"tlsratchet/test/apt"
)

// ErrMissing says that there is none and how to get one. Its text is for
// people.
var ErrMissing = errors.New("these tests need Debian's package prometheus, and it could not be fetched (apt-get download): install it, or prometheus and promtool from prometheus.io")

// Find returns the path of a program of the package: promtool or prometheus.
// The error wraps [ErrMissing].
func Find(_ context.Context, program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	root, err := apt.Root(apt.Set{
		Folder: "prometheus", Packages: []string{"prometheus"},
		Program: "usr/bin/promtool", Args: []string{"--version"},
	})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return filepath.Join(root, "usr/bin", program), nil
}
