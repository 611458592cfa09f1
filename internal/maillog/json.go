package maillog

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

var newline = []byte{'\n'}

// jsonTag ends the identifier in a record of the journal.
var jsonTag = []byte(`/smtpd"`)

// record is what matters of a record as journalctl -o json writes it: an object
// in a line, of strings, numbers, and arrays of bytes for what is not UTF-8.
type record struct {
	host, tag, pid, time, message []byte
}

// jsonLines looks for the few words that a record must hold to matter, so that
// most others cost next to nothing.
func (c *chunk) jsonLines() {
	c.lines = int64(bytes.Count(c.data, newline))
	if n := len(c.data); n > 0 && c.data[n-1] != '\n' {
		c.lines++
	}
	c.each(jsonTag, c.jsonLine)
	c.each(suppressed, c.jsonGap)
	c.each(rateLimit, c.jsonGap)
	if c.gaps > 0 {
		slices.SortStableFunc(c.events, func(a, b event) int { return cmp.Compare(a.pos, b.pos) })
	}
}

// each calls do for every line that holds the word. pos is where the line
// begins.
func (c *chunk) each(word []byte, do func(line []byte, pos int)) {
	for pos := 0; pos < len(c.data); {
		rest := c.data[pos:]
		hit := bytes.Index(rest, word)
		if hit < 0 {
			return
		}
		start := bytes.LastIndexByte(rest[:hit], '\n') + 1
		end := len(rest)
		if i := bytes.IndexByte(rest[hit:], '\n'); i >= 0 {
			end = hit + i
		}
		do(rest[start:end], pos+start)
		pos += end + 1
	}
}

// jsonLine reads a record of smtpd(8).
func (c *chunk) jsonLine(line []byte, pos int) {
	r, ok := readRecord(line)
	if ok && !bytes.HasSuffix(r.tag, jsonTag[:len(jsonTag)-1]) {
		return // the word is part of somebody else's text
	}
	c.smtpd++
	micros, err := strconv.ParseInt(string(r.time), 10, 64)
	pid, n := number(r.pid)
	if !ok || err != nil || micros < 0 || n == 0 || n != len(r.pid) {
		c.broken++
		return
	}
	c.scratch = append(append(append(c.scratch[:0], r.host...), ' '), r.tag...)
	if bytes.Count(c.scratch, space) != 1 {
		c.broken++
		return
	}
	c.add(event{at: micros / 1e6, pid: pid, pos: pos}, c.scratch, r.message)
}

func (c *chunk) jsonGap(line []byte, pos int) {
	if r, ok := readRecord(line); ok {
		c.gap(line, r.host, r.tag, pos)
	}
}

// readRecord reads one object. Of keys that are there twice the last counts.
func readRecord(line []byte) (r record, ok bool) {
	s := scanner{rest: line}
	if !s.take('{') {
		return r, false
	}
	for !s.take('}') {
		key, ok1 := s.text()
		ok2 := s.take(':')
		value, ok3 := s.value(0)
		if !ok1 || !ok2 || !ok3 {
			return r, false
		}
		r.set(key, value)
		s.take(',')
	}
	return r, r.host != nil && r.tag != nil
}

func (r *record) set(key, value []byte) {
	switch string(key) {
	case "_HOSTNAME":
		r.host = value
	case "SYSLOG_IDENTIFIER":
		r.tag = value
	case "SYSLOG_PID": // as the process knows itself, inside a container too
		r.pid = value
	case "_PID":
		if r.pid == nil {
			r.pid = value
		}
	case "__REALTIME_TIMESTAMP":
		r.time = value
	case "MESSAGE":
		r.message = value
	}
}

// scanner reads JSON (RFC 8259), leniently.
type scanner struct{ rest []byte }

func (s *scanner) take(c byte) bool {
	s.rest = bytes.TrimLeft(s.rest, " \t\r")
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// value reads a string or an array of bytes; of a number, true, false and null
// it returns the letters. Of nested arrays (a field that is there twice) the
// last counts.
func (s *scanner) value(depth int) (v []byte, ok bool) {
	if s.take('[') {
		return s.array(depth)
	}
	if len(s.rest) > 0 && s.rest[0] == '"' {
		return s.text()
	}
	n := bytes.IndexAny(s.rest, ",]} \t")
	if n <= 0 {
		return nil, false
	}
	v, s.rest = s.rest[:n], s.rest[n:]
	return v, true
}

func (s *scanner) array(depth int) (v []byte, ok bool) {
	v = []byte{}
	for !s.take(']') {
		item, ok := s.value(depth + 1)
		if !ok || depth > 1 {
			return nil, false
		}
		if n, err := strconv.ParseUint(string(item), 10, 8); err == nil {
			v = append(v, byte(n))
		} else {
			v = item
		}
		s.take(',')
	}
	return v, true
}

// text reads a string. It copies only what has escapes.
func (s *scanner) text() (v []byte, ok bool) {
	if !s.take('"') {
		return nil, false
	}
	for i, c := range s.rest {
		switch c {
		case '"':
			v, s.rest = s.rest[:i:i], s.rest[i+1:]
			return v, true
		case '\\':
			return s.escaped(i)
		}
	}
	return nil, false
}

// escaped reads a string whose first escape is at i.
func (s *scanner) escaped(i int) (v []byte, ok bool) {
	v = append(make([]byte, 0, len(s.rest)), s.rest[:i]...)
	for b := s.rest; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			s.rest = b[i+1:]
			return v, true
		case c != '\\':
			v = append(v, c)
		case i+1 == len(b):
			return nil, false
		case b[i+1] == 'u':
			r, n := escapedRune(b[i:])
			if n == 0 {
				return nil, false
			}
			v = utf8.AppendRune(v, r)
			i += n - 1
		default:
			i++
			v = append(v, unescaped(b[i]))
		}
	}
	return nil, false
}

func unescaped(c byte) byte {
	const from, to = "bfnrt", "\b\f\n\r\t"
	if i := bytes.IndexByte([]byte(from), c); i >= 0 {
		return to[i]
	}
	return c
}

// escapedRune reads "\u00e4", or two of them that make one character, and
// returns how many bytes that took.
func escapedRune(b []byte) (r rune, n int) {
	unit := func(b []byte) (rune, bool) {
		if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
			return 0, false
		}
		u, err := strconv.ParseUint(string(b[2:6]), 16, 16)
		return rune(u), err == nil
	}
	r, ok := unit(b)
	if !ok {
		return 0, 0
	}
	if low, ok := unit(b[6:]); ok && utf16.IsSurrogate(r) {
		return utf16.DecodeRune(r, low), 12
	}
	return r, 6
}
