package maillog

import (
	"bytes"
	"time"
)

// Lines reads lines of a log as they are written, in the plain forms that
// syslog daemons and postlogd(8) write.
type Lines struct{ clock clock }

// NewLines returns a reader. Times without a year are of the year of now, times
// without a zone of its location.
func NewLines(now time.Time) *Lines {
	return &Lines{clock: clock{loc: now.Location(), year: now.Year()}}
}

// Line is one line of a log.
type Line struct {
	At time.Time
	// Program is what wrote it, such as "postfix/smtp"; PID its process, 0 for
	// none.
	Program string
	PID     uint32
	// Message lies in the line that was read.
	Message []byte
}

// Read reads "TIME HOST PROGRAM[PID]: MESSAGE", without its end.
func (l *Lines) Read(line []byte) (r Line, ok bool) {
	at, rest, ok := l.clock.read(line)
	if !ok {
		return r, false
	}
	r.At = time.Unix(at, 0)
	_, rest, ok = bytes.Cut(rest, space) // the host
	tag, msg, ok2 := bytes.Cut(rest, []byte(": "))
	if !ok || !ok2 || bytes.IndexByte(tag, ' ') >= 0 {
		return r, false
	}
	name, process, _ := bytes.Cut(tag, []byte("["))
	r.Program, r.Message = string(name), msg
	r.PID, _ = number(process)
	return r, true
}
