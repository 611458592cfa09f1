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

	"tlsratchet/internal/maillog"
)

const (
	// filePoll is how often a file is looked at for new lines. Each look wakes a
	// process that has nothing else to do: a quarter of a millisecond.
	filePoll = 500 * time.Millisecond
	// faultPoll is how often one that can't be read is tried again.
	faultPoll = 5 * time.Second
	// headBytes is how much of a file identifies it.
	headBytes = 256
	// maxLine bounds a line; longer ones are skipped.
	maxLine = 64 << 10
)

// logFile is a file that is followed.
type logFile struct {
	f      *os.File
	at     Cursor
	ended  time.Time // when it was written to last
	chunk  []byte    // what is read at once
	buf    []byte    // what was read of a line whose end is not there yet
	cut    bool      // that line is too long: its end is skipped
	parse  *maillog.Lines
	follow *Follower
}

// followFile reads a file, whichever way it is rotated: renamed (logrotate's
// default, postfix logrotate), or copied and truncated.
func (f *Follower) followFile(ctx context.Context) {
	for drained := false; ; {
		file, err := f.open(f.Cursor(), drained)
		if err != nil {
			f.failed(rights(err))
			if !pause(ctx, faultPoll) {
				return
			}
			continue
		}
		f.works()
		how := file.run(ctx)
		file.f.Close()
		if how == same {
			return
		}
		drained = how == renamed
	}
}

// rights adds what would help to an error of permissions.
func rights(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return err.Error() + ": the daemon needs the group that may read it (SupplementaryGroups=adm on Debian)"
	}
	return err.Error()
}

// open opens the log where the cursor stands. What was written to a file that
// was rotated away since is read first, unless it was read to its end.
func (f *Follower) open(c Cursor, drained bool) (*logFile, error) {
	l, err := f.newLog(f.Source)
	if err != nil {
		return nil, err
	}
	now := l.at
	size := now.Offset
	now.Offset = 0
	switch {
	case c == Cursor{} && f.absent:
	case c == Cursor{}: // it could not be read before: from now on
		now.Offset = size
		f.joiner.Gap(f.Now())
	case c.Inode == now.Inode && c.Offset <= size && l.hasHead(c):
		l.reread(c)
		now.Offset = c.Offset
	case !f.catchUp(c, now.Inode) && !drained: // rotated to a name that is not known
		f.joiner.Gap(f.Now())
	}
	l.at = now
	f.cursor.Store(&now)
	return l, nil
}

// newLog opens a log, with the cursor at its end.
func (f *Follower) newLog(path string) (*logFile, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe has no writer, perhaps
	if err != nil {
		return nil, err
	}
	l := &logFile{f: file, follow: f, parse: maillog.NewLines(f.Now()), chunk: make([]byte, 64<<10)}
	if err := l.identify(); err != nil {
		file.Close()
		return nil, err
	}
	return l, nil
}

// end returns the cursor at the end of the log, and whether there is none.
func (f *Follower) end() (at Cursor, absent bool) {
	l, err := f.newLog(f.Source)
	if err != nil {
		return at, errors.Is(err, fs.ErrNotExist)
	}
	defer l.f.Close()
	return l.at, false
}

// rereadBytes is how much before a cursor is read once more.
const rereadBytes = 256 << 10

// reread reads what lies just before a cursor, for the joiner alone.
func (l *logFile) reread(c Cursor) {
	begin := max(c.Offset-rereadBytes, 0)
	b := make([]byte, c.Offset-begin)
	n, _ := l.f.ReadAt(b, begin)
	l.follow.muted = true
	defer func() { l.follow.muted = false }()
	for line := range bytes.Lines(b[:n]) {
		if r, ok := l.parse.Read(bytes.TrimSuffix(line, []byte("\n"))); ok {
			l.follow.read(&r)
		}
	}
}

// identify sets the cursor to the end of the file.
func (l *logFile) identify() error {
	info, err := l.f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", l.f.Name())
	}
	l.ended, l.at = info.ModTime(), Cursor{Inode: inodeOf(info), Offset: info.Size()}
	l.at.Head, l.at.HeadSize = l.head(headBytes)
	return nil
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
	size, _ = l.f.ReadAt(b, 0)
	return crc32.ChecksumIEEE(b[:size]), size
}

// hasHead reports whether the file begins as the cursor's did.
func (l *logFile) hasHead(c Cursor) bool {
	sum, size := l.head(c.HeadSize)
	return sum == c.Head && size == c.HeadSize
}

// rotatedName is what rotation adds to the name of a log: ".1", "-20260101",
// ".20260101-000000". What is compressed was rotated long ago.
var rotatedName = regexp.MustCompile(`^[.-][0-9][0-9.-]*$`)

// catchUp reads what was written to files that were rotated away since: the rest
// of the one that the cursor was in, under the name that it, or its copy, has
// now, and all later ones. It reports whether that one was found.
func (f *Follower) catchUp(c Cursor, current uint64) bool {
	all := f.rotated(current)
	defer func() {
		for _, l := range all {
			l.f.Close()
		}
	}()
	at := slices.IndexFunc(all, func(l *logFile) bool { return c.HeadSize > 0 && l.at.Offset >= c.Offset && l.hasHead(c) })
	if at < 0 {
		return false
	}
	for i, l := range all[at:] {
		if l.at.Offset = 0; i == 0 {
			l.at = c
		}
		l.drain()
	}
	return true
}

// rotated opens the files that the log was rotated to, in the order of their last
// lines, each with the cursor at its end.
func (f *Follower) rotated(current uint64) (all []*logFile) {
	entries, _ := os.ReadDir(filepath.Dir(f.Source))
	for _, e := range entries {
		suffix, ok := strings.CutPrefix(e.Name(), filepath.Base(f.Source))
		if !ok || !rotatedName.MatchString(suffix) {
			continue
		}
		l, err := f.newLog(filepath.Join(filepath.Dir(f.Source), e.Name()))
		switch {
		case err != nil:
		case l.at.Inode == current:
			l.f.Close()
		default:
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b *logFile) int { return a.ended.Compare(b.ended) })
	return all
}

// run reads until ctx ends, or until the file was rotated, and returns how. One
// that was renamed was read to its end.
func (l *logFile) run(ctx context.Context) replacement {
	for left := false; ; {
		grew, err := l.drain()
		if err != nil {
			l.follow.failed(err.Error())
		}
		switch now, size := l.replaced(); {
		case now == truncated:
			return truncated
		case now == renamed && left && !grew:
			return renamed // nothing came to the old one since the new one has lines
		case now == renamed && size > 0:
			left = true
		}
		if !pause(ctx, filePoll) {
			l.drain()
			return same
		}
	}
}

// replacement is what became of the file under its name.
type replacement uint8

const (
	same replacement = iota
	renamed
	truncated
)

// replaced looks at what has the name now, and how long it is.
func (l *logFile) replaced() (replacement, int64) {
	info, err := os.Stat(l.follow.Source)
	switch {
	case err != nil:
		return same, 0 // between two names
	case inodeOf(info) != l.at.Inode:
		return renamed, info.Size()
	case info.Size() < l.at.Offset || !l.hasHead(l.at):
		return truncated, info.Size()
	}
	return same, info.Size()
}

// drain reads what is there. Only whole lines count as read.
func (l *logFile) drain() (grew bool, err error) {
	pos := l.at.Offset + int64(len(l.buf))
	for {
		n, err := l.f.ReadAt(l.chunk, pos)
		if n > 0 && !l.hasHead(l.at) {
			return grew, nil // truncated, and written to since
		}
		if n > 0 {
			grew = true
			pos += int64(n)
			l.feed(l.chunk[:n])
		}
		if err == io.EOF || n == 0 && err == nil {
			return grew, nil
		}
		if err != nil {
			return grew, err
		}
	}
}

// feed splits what was read into lines.
func (l *logFile) feed(b []byte) {
	l.buf = append(l.buf, b...)
	rest := l.buf
	for {
		line, after, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			break
		}
		if r, ok := l.parse.Read(line); ok && !l.cut {
			l.follow.read(&r)
		}
		l.cut = false
		l.at.Offset += int64(len(line)) + 1
		rest = after
	}
	if len(rest) > maxLine {
		l.at.Offset += int64(len(rest))
		rest, l.cut = nil, true
	}
	l.buf = append(l.buf[:0], rest...)
	if l.at.HeadSize < headBytes {
		l.at.Head, l.at.HeadSize = l.head(headBytes)
	}
	at := l.at
	l.follow.cursor.Store(&at)
}
