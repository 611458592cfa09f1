package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"tlsratchet/internal/loop"
	"tlsratchet/internal/maillog"
)

const (
	// filePoll is how often a file is looked at for new lines. Each look wakes a
	// process that has nothing else to do: a quarter of a millisecond.
	filePoll = 500 * time.Millisecond
	// headBytes is how much of a file identifies it.
	headBytes = 256
	// maxLine bounds a line; longer ones are skipped.
	maxLine = 64 << 10
	// rereadBytes is how much before a cursor is read once more.
	rereadBytes = 256 << 10
)

// logFile is a file that is followed.
type logFile struct {
	*os.File
	follow *Follower
	info   fs.FileInfo // as it was opened
	at     Cursor      // all lines before it were read
	fresh  int64       // lines before it were read by an earlier daemon
	cut    bool        // of the next line, the begin was skipped
	chunk  []byte      // what is read at once
	parse  *maillog.Lines
}

// file reads a file until ctx ends or the file is rotated, whichever way: renamed
// (logrotate's default, postfix logrotate), or copied and truncated.
func (f *Follower) file(ctx context.Context) error {
	l, err := f.open(ctx, f.Cursor())
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: the daemon needs the group that may read it (SupplementaryGroups=adm on Debian)", err)
	}
	if err != nil {
		return err
	}
	defer l.Close()
	f.drained = false
	return l.run(ctx)
}

// open opens the log where the cursor stands. What was written to files that were
// rotated away since is read first. The cursor stays in one of these if ctx ends.
func (f *Follower) open(ctx context.Context, c Cursor) (*logFile, error) {
	l, err := f.newLog(f.Source)
	if err != nil {
		return nil, err
	}
	switch {
	case c != Cursor{}:
		f.resume(ctx, c, l)
	case f.absent:
		l.at.Offset = 0
	default: // it could not be read before: from now on
		f.joiner.Gap(f.Now())
	}
	if ctx.Err() == nil {
		l.read(nil)
	}
	return l, nil
}

// resume finds the file that the cursor was in, under the name that it, or its copy,
// has now. It reads the rest of it, and all later ones but the log itself.
func (f *Follower) resume(ctx context.Context, c Cursor, l *logFile) {
	all := append(f.rotated(l.info), l)
	at := len(all) - 1
	for at >= 0 && !all[at].has(c) {
		at--
	}
	// Rotated to a name that is not known; or copied, and what was written until it was
	// truncated is nowhere.
	lost := at < 0 && !f.drained || at >= 0 && all[at] != l && all[at].at.Inode != c.Inode
	for i, file := range all {
		if file.at.Offset = 0; i == at {
			file.continues(c)
		} else {
			file.at.Head, file.at.HeadSize = file.head(headBytes) // it may have been truncated since
		}
		if file == l {
			break
		}
		if at >= 0 && i >= at {
			file.drain(ctx)
		}
		file.Close()
	}
	if lost {
		f.joiner.Gap(f.Now())
	}
}

// newLog opens a log, with the cursor at its end.
func (f *Follower) newLog(path string) (*logFile, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe has no writer, perhaps
	if err != nil {
		return nil, err
	}
	l := &logFile{File: file, follow: f, parse: maillog.NewLines(f.Now), chunk: make([]byte, maxLine)}
	l.info, err = file.Stat()
	if err == nil && !l.info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	l.at = Cursor{Inode: inodeOf(l.info), Offset: l.info.Size()}
	l.at.Head, l.at.HeadSize = l.head(headBytes)
	return l, nil
}

// end returns the cursor at the end of the log, and whether there is none.
func (f *Follower) end() (at Cursor, absent bool) {
	l, err := f.newLog(f.Source)
	if err != nil {
		return at, errors.Is(err, fs.ErrNotExist)
	}
	defer l.Close()
	return l.at, false
}

func inodeOf(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Ino) // 32 bits on some systems
	}
	return 0
}

// head returns a checksum of the first bytes, up to n.
func (l *logFile) head(n int) (sum uint32, size int) {
	b := make([]byte, n)
	size, _ = l.ReadAt(b, 0)
	return crc32.ChecksumIEEE(b[:size]), size
}

// hasHead reports whether the file begins as the cursor's did.
func (l *logFile) hasHead(c Cursor) bool {
	sum, size := l.head(c.HeadSize)
	return sum == c.Head && size == c.HeadSize
}

// has reports whether the cursor was in this file, or in one that it is a copy of.
func (l *logFile) has(c Cursor) bool {
	return (c.HeadSize > 0 || c.Inode == l.at.Inode) && c.Offset <= l.info.Size() && l.hasHead(c)
}

// continues sets the cursor. What lies just before it is read once more where this
// daemon has read nothing yet: it begins deliveries that end later.
func (l *logFile) continues(c Cursor) {
	l.at.Offset, l.fresh = c.Offset, c.Offset
	if l.follow.lines.Load() == 0 {
		l.at.Offset = max(c.Offset-rereadBytes, 0)
		l.cut = l.at.Offset > 0
	}
}

// rotatedName is what rotation adds to the name of a log: ".1", "-20260101",
// ".20260101-000000". What is compressed was rotated long ago.
var rotatedName = regexp.MustCompile(`^[.-][0-9][0-9.-]*$`)

// rotated opens the files that the log was rotated to, in the order of their last
// lines.
func (f *Follower) rotated(current fs.FileInfo) (all []*logFile) {
	entries, _ := os.ReadDir(filepath.Dir(f.Source))
	for _, e := range entries {
		suffix, ok := strings.CutPrefix(e.Name(), filepath.Base(f.Source))
		if !ok || !rotatedName.MatchString(suffix) {
			continue
		}
		l, err := f.newLog(filepath.Join(filepath.Dir(f.Source), e.Name()))
		switch {
		case err != nil:
		case os.SameFile(l.info, current):
			l.Close()
		default:
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b *logFile) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	return all
}

// run reads until ctx ends, or until the file was rotated. One that was renamed is
// read to its end.
func (l *logFile) run(ctx context.Context) error {
	for left := false; ; {
		grew, err := l.drain(ctx)
		if err != nil || ctx.Err() != nil {
			return err
		}
		l.follow.note(nil)
		now, err := os.Stat(l.follow.Source)
		switch {
		case err != nil: // between two names
		case os.SameFile(now, l.info):
			if now.Size() < l.at.Offset || !l.hasHead(l.at) {
				return nil // truncated
			}
		case left && !grew:
			l.follow.drained = true // nothing came to the old one since the new one has lines
			return nil
		default:
			left = now.Size() > 0
		}
		if !loop.Pause(ctx, filePoll) {
			_, err := l.drain(context.WithoutCancel(ctx)) // of half a second
			return err
		}
	}
}

// drain reads the whole lines that are there, unless ctx ends.
func (l *logFile) drain(ctx context.Context) (grew bool, err error) {
	for ctx.Err() == nil {
		if l.at.HeadSize < headBytes && l.hasHead(l.at) { // it grew
			l.at.Head, l.at.HeadSize = l.head(headBytes)
		}
		before, n := l.at.Offset, 0
		n, err = l.ReadAt(l.chunk, before)
		if n > 0 && !l.hasHead(l.at) {
			return grew, nil // truncated, and written to since
		}
		if l.read(l.chunk[:n]); l.at.Offset == before {
			break
		}
		grew = true
	}
	if err == io.EOF {
		err = nil
	}
	return grew, err
}

// read reads the whole lines of a chunk, and moves the cursor behind them.
func (l *logFile) read(chunk []byte) {
	for line := range bytes.Lines(chunk) {
		text, whole := bytes.CutSuffix(line, []byte("\n"))
		if !whole && len(line) < len(l.chunk) {
			break // its end is not there yet
		}
		l.follow.muted = l.at.Offset < l.fresh
		if r, ok := l.parse.Read(text); ok && whole && !l.cut {
			l.follow.read(&r)
		}
		l.cut = !whole
		l.at.Offset += int64(len(line))
	}
	at := l.at
	at.Offset = max(at.Offset, l.fresh) // what is read once more stays read
	l.follow.cursor.Store(&at)
}
