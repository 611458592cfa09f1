package status_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// axeVersion is the npm package axe-core that looks for what keeps people with
// disabilities out, and axeSum its SHA-512.
const (
	axeVersion = "4.14.1"
	axeSum     = "1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5"
)

// axe returns the script, fetched by npm once.
func axe(ctx context.Context) (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	unlock, err := lockFile("axe-core.lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	archive := filepath.Join(dir, "axe-core-"+axeVersion+".tgz")
	if _, err := os.Stat(archive); errors.Is(err, os.ErrNotExist) {
		cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "--pack-destination", dir, "axe-core@"+axeVersion)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("the test of the page needs axe-core %s, which npm fetches: npm pack: %w: %.500s", axeVersion, err, out)
		}
	}
	b, err := os.ReadFile(archive)
	if err != nil {
		return "", err
	}
	if sum := sha512.Sum512(b); hex.EncodeToString(sum[:]) != axeSum {
		return "", errors.Join(fmt.Errorf("%s is not what it should be: remove it and try again", archive), os.Remove(archive))
	}
	return unpack(b, "package/axe.min.js")
}

// unpack returns one file of a compressed archive.
func unpack(archive []byte, name string) (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return "", err
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		if h.Name == name {
			b, err := io.ReadAll(files)
			return string(b), err
		}
	}
}
