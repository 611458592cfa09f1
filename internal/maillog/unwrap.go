package maillog

import (
	"bytes"
	"regexp"
)

// unwrap reads "TIME HOST PROGRAM[PID]: MESSAGE", and lines that something was
// written around: a priority, the prefix of a container's log, colours, JSON. It
// returns false for a line of no known program or form.
func (p *parser) unwrap(line []byte, r *record) bool {
	line = bare(line)
	for range 6 {
		if !r.timed {
			line = bytes.TrimLeft(line, " ")
		}
		switch {
		case len(line) == 0:
			return false
		case line[0] == '{':
			return p.object(line, r)
		case line[0] == '<':
			line = bytes.TrimLeft(line[len(priority.Find(line)):], " ")
		}
		if rest, ok := bytes.CutPrefix(line, []byte("1 ")); ok && !r.timed {
			return p.syslog(rest, r)
		}
		if at, rest, ok := p.clock.read(line); ok {
			if !r.timed { // the first time has the year and the zone
				r.at, r.timed, r.yearless = at, true, p.clock.yearless
			}
			line = afterStream(rest)
			continue
		}
		if r.timed {
			return p.named(usual(line), r)
		}
		n := len(prefix.Find(line))
		if n == 0 {
			return false
		}
		line = line[n:]
	}
	return false
}

var (
	colour = regexp.MustCompile(`(?s)\x1b\[[0-9;]*.?`)
	// priority is as it is sent to a log server (RFC 3164, RFC 5424).
	priority = regexp.MustCompile(`^<[0-9]{1,3}>`)
	// prefix is "postfix-1  | " of docker compose, "[pod/mail/postfix] " of kubectl,
	// "data: " of journalctl -o json-sse, the byte before each record of journalctl
	// -o json-seq, or a byte order mark.
	prefix = regexp.MustCompile(`^(\x1e|data: |\x{feff}|\[pod/.{0,120}?\] |[^ ]{1,120} {1,60}\| )`)
	stream = regexp.MustCompile(`^(stdout|stderr) (. )?`)
	// facility is one with a severity: "mail.info", "mail:info", "local0.notice".
	facility = regexp.MustCompile(`^(mail|syslog|daemon|local|user)[^.:]*[.:][^.:[/]+$`)
)

// bare returns a line without colours and with spaces for its tabs.
func bare(line []byte) []byte {
	if bytes.IndexByte(line, '\x1b') >= 0 {
		line = colour.ReplaceAll(line, nil)
	}
	if bytes.IndexByte(line, '\t') >= 0 {
		line = bytes.ReplaceAll(line, []byte("\t"), space)
	}
	return line
}

// afterStream skips what stands between a time and a line: "stdout F " of
// containerd, and the tag of Fluentd, which writes "TIME mail.info {…}".
func afterStream(b []byte) []byte {
	if n := len(stream.Find(b)); n > 0 {
		return b[n:]
	}
	if _, rest, ok := bytes.Cut(b, space); ok && bytes.HasPrefix(rest, []byte("{")) {
		return rest
	}
	return b
}

// usual returns "HOST PROGRAM[PID]: MESSAGE" of a line with a priority before or
// after the host, as FreeBSD, BusyBox and AIX write it.
func usual(b []byte) []byte {
	if b[0] == '<' { // FreeBSD: "<mail.info>" or "<2.6>"
		_, b, _ = bytes.Cut(b, []byte("> "))
	}
	host, rest, _ := bytes.Cut(b, space)
	if from, ok := bytes.CutPrefix(b, []byte("Message forwarded from ")); ok { // AIX
		host, rest, _ = bytes.Cut(from, []byte(": "))
	}
	if word, after, _ := bytes.Cut(rest, space); facility.Match(word) {
		rest = after
	}
	return bytes.Join([][]byte{host, rest}, space)
}

// syslog reads "TIME HOST PROGRAM PID ID DATA MESSAGE" (RFC 5424 section 6).
func (p *parser) syslog(line []byte, r *record) bool {
	at, rest, ok := p.clock.read(line)
	if !ok {
		return false
	}
	var field [4][]byte // host, program, process, message id
	for i := range field {
		field[i], rest, _ = bytes.Cut(rest, space)
	}
	end := 1 // the structured data is "-", or elements in brackets
	if len(rest) > 0 && rest[0] == '[' {
		end = bytes.Index(rest, []byte("] ")) + 1
	}
	if end <= 0 || len(rest) <= end {
		return false
	}
	r.at, r.timed = at, true
	return p.fields(field[0], field[1], field[2], bytes.TrimPrefix(rest[end+1:], []byte("\ufeff")), r)
}

// fields makes a record of a line whose parts are known. A host may be missing.
func (p *parser) fields(host, name, pid, message []byte, r *record) bool {
	if len(host) == 0 {
		host = []byte("-")
	}
	line := make([]byte, 0, len(host)+len(name)+len(pid)+len(message)+len(" []: "))
	line = append(append(append(line, host...), ' '), name...)
	line = append(append(append(line, '['), pid...), "]: "...)
	return p.named(append(line, message...), r) && r.program != other
}
