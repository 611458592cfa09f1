package maillog

import (
	"bytes"
	"cmp"
	"slices"
)

// chunk is a stretch of whole lines of one file, and what was found in it.
type chunk struct {
	data   []byte
	buf    []byte // what data lies in
	json   bool
	clock  clock
	events []event
	// lines, smtpd, broken and gaps count lines.
	lines, smtpd, broken, gaps int64
	parsed                     chan struct{}
}

var (
	newline    = []byte{'\n'}
	smtpdTag   = []byte("/smtpd[")
	suppressed = []byte("Suppressed ")
	rateLimit  = []byte("rate-limiting")
)

// parse finds the lines that matter. It looks for the few words that they must
// hold, so that most others cost next to nothing.
func (c *chunk) parse() {
	c.events, c.smtpd, c.broken, c.gaps = c.events[:0], 0, 0, 0
	c.lines = int64(bytes.Count(c.data, newline))
	if n := len(c.data); n > 0 && c.data[n-1] != '\n' {
		c.lines++
	}
	began := c.clock
	tag, line := smtpdTag, c.textLine
	if c.json {
		tag, line = jsonTag, c.jsonLine
	}
	c.each(tag, line)
	c.clock = began // of these lines the time is of no interest
	c.each(suppressed, c.gap)
	c.each(rateLimit, c.gap)
	if c.gaps > 0 {
		slices.SortStableFunc(c.events, func(a, b event) int { return cmp.Compare(a.pos, b.pos) })
	}
}

// each calls do for every line that holds the word, first at hit. pos is where
// the line begins.
func (c *chunk) each(word []byte, do func(line []byte, hit, pos int)) {
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
		do(rest[start:end], hit-start, pos+start)
		pos += end + 1
	}
}

// textLine reads a line "TIME HOST NAME/smtpd[PID]: MESSAGE", whose tag was
// found at hit.
func (c *chunk) textLine(line []byte, hit, pos int) {
	at, rest, ok := c.clock.read(line)
	begin := len(line) - len(rest)
	if !ok || hit < begin {
		c.smtpd++
		c.broken++
		return
	}
	end := hit + len(smtpdTag) - 1
	source := line[begin:end]
	if bytes.Count(source, space) != 1 || source[0] == ' ' {
		return // the word is part of somebody else's text
	}
	c.smtpd++
	pid, n := number(line[end+1:])
	msg := line[end+1+n:]
	if n == 0 || len(msg) < 3 || msg[0] != ']' || msg[1] != ':' || msg[2] != ' ' {
		c.broken++
		return
	}
	msg = msg[3:]
	if n := len(msg); n > 0 && msg[n-1] == '\r' { // a copy through Windows
		msg = msg[:n-1]
	}
	c.add(event{at: at, source: source, pid: pid, pos: pos}, msg)
}

func (c *chunk) add(e event, msg []byte) {
	if !e.message(msg) {
		if !cutShort(msg) && !bytes.Contains(msg, smtpdTag) {
			return
		}
		e.kind = kindBroken // or another line is in the middle of this one
	}
	if e.kind == kindBroken {
		c.broken++
	}
	c.events = append(c.events, e)
}

// gap reads a note of the journal or of rsyslog that lines were dropped.
func (c *chunk) gap(line []byte, _, pos int) {
	e := event{kind: kindGap, pos: pos}
	if c.json {
		r, ok := readRecord(line)
		if !ok || !dropper(r.tag) {
			return
		}
		e.source = r.host
	} else {
		_, rest, ok := c.clock.read(line)
		host, text, ok2 := bytes.Cut(rest, space)
		tag, _, ok3 := bytes.Cut(text, space)
		if !ok || !ok2 || !ok3 || !dropper(tag) {
			return
		}
		e.source = host
	}
	c.gaps++
	c.events = append(c.events, e)
}

// dropper tells whether a tag is of a program that drops lines of others.
func dropper(tag []byte) bool {
	name, _, _ := bytes.Cut(bytes.TrimSuffix(tag, []byte(":")), []byte("["))
	return string(name) == "systemd-journald" || string(name) == "rsyslogd"
}

// number reads digits: at most 9 of them.
func number(b []byte) (v uint32, n int) {
	for n < len(b) && n < 9 && b[n] >= '0' && b[n] <= '9' {
		v = v*10 + uint32(b[n]-'0')
		n++
	}
	return v, n
}
