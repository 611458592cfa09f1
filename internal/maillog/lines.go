package maillog

import (
	"bytes"
	"time"
)

// Lines reads lines of a log as they are written, in every form that [Read]
// knows.
type Lines struct{ parser parser }

// NewLines returns a reader with a clock. Times without a year are of the year that is
// nearest to now, times without a zone of its location.
func NewLines(now func() time.Time) *Lines {
	return &Lines{parser{clock: clock{loc: now().Location(), now: now}}}
}

// Line is one line of a log.
type Line struct {
	At time.Time
	// Host wrote it; "" in the journal of this one.
	Host string
	// Program is what wrote it, such as "postfix/smtp"; PID its process, 0 for
	// none.
	Program string
	PID     uint32
	// Message lies in the line that was read.
	Message []byte
}

// Read reads a line without its end. It returns false for a line that is neither
// about deliveries nor a log server's about its own work.
func (l *Lines) Read(line []byte) (Line, bool) {
	var r record
	if !l.parser.line(line, &r) || r.program != sending && r.program != logger {
		return Line{}, false
	}
	host, program, _ := bytes.Cut(r.source, space)
	return Line{At: time.Unix(r.at, 0), Host: string(host), Program: string(program), PID: r.pid, Message: r.message}, true
}

// Journal reads a record of journalctl -o json, of whatever program, and its
// cursor. It returns false for what is none.
func (l *Lines) Journal(b []byte) (line Line, cursor string, ok bool) {
	t := l.parser.fresh()
	if !t.json(bytes.TrimSuffix(b, newline)) {
		return line, "", false
	}
	micros, err := t.micros()
	pid, _ := number(t.text("SYSLOG_PID", "_PID"))
	return Line{
		At: time.UnixMicro(micros), Program: string(t.text("SYSLOG_IDENTIFIER")), PID: pid, Message: t.text("MESSAGE"),
	}, string(t.text("__CURSOR")), err == nil
}
