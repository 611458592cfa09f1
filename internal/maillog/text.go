package maillog

import (
	"bytes"
	"slices"
)

// record is one line of a log, in whatever form it was written.
type record struct {
	at int64
	// timed is true if the line has a time, yearless if that has no year.
	timed, yearless bool
	// source is "host program", program "postfix/smtpd" as logged.
	source  []byte
	program program
	pid     uint32
	message []byte
}

// program is what wrote a line, as far as it matters.
type program uint8

const (
	other program = iota
	smtpd
	sending // smtp(8), error(8), retry(8) and qmgr(8)
	logger  // a program that stores log lines, and reports the ones it dropped
	damaged // a line of smtpd that cannot be read
)

var (
	smtpdTag = []byte("/smtpd[")
	qmgrWord = []byte("/qmgr")
	removed  = []byte(": removed")
	tagEnd   = []byte("]:")

	wordsOfInterest = append([][]byte{[]byte("smtp"), qmgrWord, []byte("/error"), []byte("/retry"), []byte("dropped='"), []byte("discarded")}, dropNotes...)
)

// parser reads the lines of one source.
type parser struct {
	clock clock
	// last is the source of the last line of smtpd: most lines have the same.
	last []byte
	// texts are the fields of the last record that came in fields.
	texts texts
}

// line reads one line. It returns false for a line of no interest.
func (p *parser) line(line []byte, r *record) bool {
	*r = record{}
	line = bytes.TrimSuffix(line, []byte("\r")) // a copy by way of Windows
	if at, rest, ok := p.clock.read(line); ok {
		r.at, r.timed = at, true
		if n := len(p.last); n > 0 && len(rest) > n && rest[n] == '[' && string(rest[:n]) == string(p.last) {
			r.source, r.program = rest[:n], smtpd
			r.process(rest[n:])
			return true
		}
		if p.named(rest, r) {
			return r.program != other
		}
	}
	if !ofInterest(line) {
		return false
	}
	if r.timed = false; p.unwrap(line, r) {
		return r.program != other
	}
	r.program = damaged
	return !r.timed && (bytes.Contains(line, smtpdTag) || bytes.Contains(line, jsonTag))
}

// named reads "HOST PROGRAM[PID]: MESSAGE". It returns false for what may have
// another form.
func (p *parser) named(b []byte, r *record) bool {
	n := bytes.IndexByte(b, ' ')
	if n <= 0 {
		return false
	}
	tag, _, _ := bytes.Cut(b[n+1:], space)
	kind, end := programOf(tag)
	if kind == other {
		return bytes.HasSuffix(tag, tagEnd)
	}
	r.source, r.program, r.message = b[:n+1+end], kind, b[n+1+end:]
	if kind == smtpd {
		p.last = append(p.last[:0], r.source...)
	}
	if kind != logger {
		r.process(r.message)
	}
	return true
}

// ofInterest reports whether a line of an unusual form may matter, at little cost.
func ofInterest(line []byte) bool { return containsAny(line, wordsOfInterest) }

func containsAny(text []byte, words [][]byte) bool {
	return slices.ContainsFunc(words, func(word []byte) bool { return bytes.Contains(text, word) })
}

// programOf returns what wrote a line with this tag, and how long its name is.
func programOf(tag []byte) (program, int) {
	if n := bytes.IndexByte(tag, '['); n >= 0 {
		switch string(tag[bytes.LastIndexByte(tag[:n], '/')+1 : n]) {
		case "smtpd":
			return smtpd, n
		case "smtp", "error", "retry", "qmgr":
			return sending, n
		}
	}
	if n := bytes.Index(tag, smtpdTag); n >= 0 { // something else is in front
		return smtpd, n + len(smtpdTag) - 1
	}
	if n := loggerName(tag); n > 0 {
		return logger, n
	}
	return other, 0
}

// process reads "[PID]: MESSAGE". A line of smtpd without that is damaged.
func (r *record) process(b []byte) {
	pid, digits := number(b[1:])
	b = b[1+digits:]
	if digits == 0 || len(b) < 3 || b[0] != ']' || b[1] != ':' || b[2] != ' ' {
		if r.program == smtpd {
			r.program = damaged
		} else {
			r.program = other
		}
		return
	}
	r.pid, r.message = pid, b[3:]
	if len(r.message) > 0 && r.message[0] == '[' { // Solaris: "[ID 197553 mail.info] "
		if id, rest, ok := bytes.Cut(r.message, []byte("] ")); ok && bytes.HasPrefix(id, []byte("[ID ")) {
			r.message = rest
		}
	}
}

// number reads digits: at most 9 of them.
func number(b []byte) (v uint32, n int) {
	for n < len(b) && n < 9 && b[n] >= '0' && b[n] <= '9' {
		v = v*10 + uint32(b[n]-'0')
		n++
	}
	return v, n
}
