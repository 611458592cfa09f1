package maillog

import "bytes"

// chunk is a stretch of whole lines of one file, and what was found in it.
type chunk struct {
	data   []byte
	buf    []byte // what data lies in
	json   bool
	clock  clock
	events []event
	// sources are the "host syslog/name" that the events are of, and last the
	// place of the latest, for most lines have the same: -1 without one.
	sources [][]byte
	last    int32
	scratch []byte
	// lines, smtpd, broken and gaps count lines.
	lines, smtpd, broken, gaps int64
	parsed                     chan struct{}
}

var (
	smtpdTag   = []byte("/smtpd[")
	suppressed = []byte("Suppressed ")
	rateLimit  = []byte("rate-limiting")
)

// parse finds the lines that matter.
func (c *chunk) parse() {
	c.events, c.sources, c.last = c.events[:0], c.sources[:0], -1
	c.lines, c.smtpd, c.broken, c.gaps = 0, 0, 0, 0
	if c.json {
		c.jsonLines()
		return
	}
	for pos := 0; pos < len(c.data); {
		line := c.data[pos:]
		if n := bytes.IndexByte(line, '\n'); n >= 0 {
			line = line[:n]
		}
		c.lines++
		c.textLine(line, pos)
		pos += len(line) + 1
	}
}

// textLine reads a line "TIME HOST NAME/smtpd[PID]: MESSAGE". Of lines that
// others wrote it reads no more than their tag.
func (c *chunk) textLine(line []byte, pos int) {
	at, rest, ok := c.clock.read(line)
	if !ok {
		if bytes.Contains(line, smtpdTag) {
			c.smtpd++
			c.broken++
		}
		return
	}
	n := c.asBefore(rest)
	if n == 0 {
		host, tag := hostAndTag(rest)
		if n = smtpdSource(host, tag); n == 0 {
			c.gap(line, host, tag, pos)
			return
		}
	}
	c.smtpd++
	pid, digits := number(rest[n+1:])
	msg := rest[n+1+digits:]
	if digits == 0 || len(msg) < 3 || msg[0] != ']' || msg[1] != ':' || msg[2] != ' ' {
		c.broken++
		return
	}
	msg = msg[3:]
	if n := len(msg); n > 0 && msg[n-1] == '\r' { // a copy through Windows
		msg = msg[:n-1]
	}
	c.add(event{at: at, pid: pid, pos: pos}, rest[:n], msg)
}

// asBefore returns the length of the source that a line, without its time, has
// in common with the last one of interest, or 0.
func (c *chunk) asBefore(line []byte) int {
	if c.last >= 0 {
		s := c.sources[c.last]
		if n := len(s); len(line) > n && line[n] == '[' && string(line[:n]) == string(s) {
			return n
		}
	}
	return 0
}

// hostAndTag returns the first two words of a line without its time.
func hostAndTag(line []byte) (host, tag []byte) {
	n := bytes.IndexByte(line, ' ')
	if n < 0 {
		return nil, nil
	}
	host, tag = line[:n], line[n+1:]
	if n := bytes.IndexByte(tag, ' '); n >= 0 {
		tag = tag[:n]
	}
	return host, tag
}

// smtpdSource returns the length of "HOST NAME/smtpd", or 0 if somebody else
// wrote the line.
func smtpdSource(host, tag []byte) int {
	hit := bytes.Index(tag, smtpdTag)
	if hit < 0 || len(host) == 0 || bytes.Contains(host, smtpdTag) {
		return 0
	}
	return len(host) + 1 + hit + len(smtpdTag) - 1
}

// source returns the place of a source among those of the chunk.
func (c *chunk) source(text []byte) int32 {
	const near = 8 // of more hosts and services at a time some are there twice
	for i := len(c.sources) - 1; i >= max(0, len(c.sources)-near); i-- {
		if bytes.Equal(c.sources[i], text) {
			c.last = int32(i)
			return c.last
		}
	}
	c.last = int32(len(c.sources))
	c.sources = append(c.sources, bytes.Clone(text))
	return c.last
}

func (c *chunk) add(e event, source, msg []byte) {
	if !e.message(msg) {
		if !cutShort(msg) && !bytes.Contains(msg, smtpdTag) {
			return
		}
		e.kind = kindBroken // or another line is in the middle of this one
	}
	if e.kind == kindBroken {
		c.broken++
	}
	e.source = c.source(source)
	c.events = append(c.events, e)
}

// gap takes a note of the journal or of rsyslog that lines were dropped.
func (c *chunk) gap(line, host, tag []byte, pos int) {
	if dropper(tag) && (bytes.Contains(line, suppressed) || bytes.Contains(line, rateLimit)) {
		c.gaps++
		c.events = append(c.events, event{kind: kindGap, text: host, pos: pos})
	}
}

// dropper tells whether a tag is of a program that drops lines of others.
func dropper(tag []byte) bool {
	if len(tag) == 0 || tag[0] != 's' && tag[0] != 'r' {
		return false
	}
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
