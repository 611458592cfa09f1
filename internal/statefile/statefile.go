// Package statefile keeps a small value, or a list, as JSON in a file that
// outlives a restart.
//
// A file is replaced whole: a reader sees the old value or the new one, also
// after a power cut. Its folder may belong to somebody whom the process does
// not trust, as where root runs a command on the folder of the daemon's user:
// symbolic links are not followed, and the mode is set by descriptor.
package statefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxSize is the most that is read, and written, in bytes: of 10,000 incidents
// with 6,000 each.
const maxSize = 64 << 20

// File is one state file. The zero value keeps nothing: reading leaves the
// value as it is, and writing does nothing.
type File struct{ path string }

// At returns the state file at a path. It need not exist yet.
func At(path string) File { return File{path} }

// Read decodes the file into v, a pointer. Where there is no file, v stays as
// it is and the error is nil. A file that is not the JSON of v stays until the next
// Write replaces it: see [File.SetAside].
func (f File) Read(v any) error {
	b, err := f.read()
	if b == nil || err != nil {
		return err
	}
	if err = json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read damaged state file %s: %w", f.path, err)
	}
	return nil
}

// Lines returns the lines of the file, each the JSON of one value that
// was written; none where there is no file.
func (f File) Lines() ([][]byte, error) {
	b, err := f.read()
	if b == nil || err != nil {
		return nil, err
	}
	return bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n")), nil
}

// read returns the content, nil where there is no file.
func (f File) read() ([]byte, error) {
	if f.path == "" {
		return nil, nil
	}
	file, err := Open(f.path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err == nil && len(b) > maxSize {
		err = fmt.Errorf("larger than %d bytes", maxSize)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.path, err)
	}
	return b, nil
}

// Write replaces the file by the JSON of the values, a line each, with mode 0600.
// The last of so many that nobody would read them are left out. On an error the
// old file is still there.
func (f File) Write(values ...any) error {
	if f.path == "" {
		return nil
	}
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	for _, v := range values {
		fits := b.Len()
		if err := lines.Encode(v); err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
		if b.Len() > maxSize {
			b.Truncate(fits)
			break
		}
	}
	next := f.path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // left by a process that was killed
	}
	err := create(next, b.Bytes())
	if err == nil {
		err = os.Rename(next, f.path)
	}
	if err != nil {
		_ = os.Remove(next)
	}
	return err
}

// create makes a file that did not exist, and writes it to the disk.
func create(path string, b []byte) error {
	file, err := Open(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	return errors.Join(err, file.Sync(), file.Close())
}

// Open is [os.OpenFile] for a state file. It follows no symbolic link, refuses what
// is not a regular file, never blocks on a pipe, and gives a new file its mode
// whatever the umask. A file that root makes gets the folder's owner: the daemon
// runs as that user, and must open it too.
func Open(path string, flag int, mode fs.FileMode) (*os.File, error) {
	file, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, mode)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link: name the file itself", path)
	}
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err == nil && flag&os.O_EXCL != 0 {
		err = file.Chmod(mode)
		give(file)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// give gives a file that root made to the owner of its folder, if the system lets
// it.
func give(file *os.File) {
	folder, err := os.Stat(filepath.Dir(file.Name()))
	if err != nil || os.Geteuid() != 0 {
		return
	}
	if owner, ok := folder.Sys().(*syscall.Stat_t); ok {
		_ = file.Chown(int(owner.Uid), int(owner.Gid))
	}
}
