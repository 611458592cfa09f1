package maillog

import "bytes"

// unwrap reads "TIME HOST PROGRAM[PID]: MESSAGE", and lines that something was
// written around: a priority, the prefix of a container's log, colours, JSON. It
// returns false for a line of no known program or form.
func (p *parser) unwrap(line []byte, r *record) bool {
	line = p.bare(line)
	for range 6 {
		if !r.timed {
			line = bytes.TrimLeft(line, " ")
		}
		if len(line) == 0 {
			return false
		}
		if line[0] == '{' {
			return p.object(line, r)
		}
		if rest, ok := afterPriority(line); ok {
			if version, rest, ok := bytes.Cut(rest, space); ok && string(version) == "1" {
				return p.syslog(rest, r)
			}
			line = rest
			continue
		}
		if at, rest, ok := p.clock.read(line); ok {
			if !r.timed { // the first time has the year and the zone
				r.at, r.timed, r.yearless = at, true, p.clock.yearless
			}
			line = afterStream(rest)
			continue
		}
		if r.timed {
			return p.named(p.usual(line), r)
		}
		var ok bool
		if line, ok = afterPrefix(line); !ok {
			return false
		}
	}
	return false
}

// bare returns a line without colours and with spaces for its tabs.
func (p *parser) bare(line []byte) []byte {
	if bytes.IndexByte(line, '\x1b') < 0 && bytes.IndexByte(line, '\t') < 0 {
		return line
	}
	b := p.scratch[:0]
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\t':
			b = append(b, ' ')
		case line[i] == '\x1b' && i+1 < len(line) && line[i+1] == '[':
			for i += 2; i < len(line) && (line[i] == ';' || line[i] >= '0' && line[i] <= '9'); i++ {
			}
		default:
			b = append(b, line[i])
		}
	}
	p.scratch = b
	return bytes.Clone(b)
}

// afterPriority reads "<22>", as it is sent to a log server (RFC 3164, RFC 5424).
func afterPriority(line []byte) (rest []byte, ok bool) {
	if line[0] != '<' {
		return nil, false
	}
	_, n := number(line[1:])
	if n < 1 || n > 3 || len(line) < n+3 || line[n+1] != '>' {
		return nil, false
	}
	return line[n+2:], true
}

// afterStream skips what containerd writes after the time: "stdout F ".
func afterStream(b []byte) []byte {
	for _, name := range []string{"stdout ", "stderr "} {
		if rest, ok := bytes.CutPrefix(b, []byte(name)); ok {
			if len(rest) > 2 && rest[1] == ' ' {
				return rest[2:]
			}
			return rest
		}
	}
	// Fluentd writes "TIME mail.info {…}".
	if tag, rest, ok := bytes.Cut(b, space); ok && len(tag) > 0 && len(rest) > 0 && rest[0] == '{' {
		return rest
	}
	return b
}

// afterPrefix skips "postfix-1  | " of docker compose, "[pod/mail/postfix] " of
// kubectl, "data: " of journalctl -o json-sse, the byte before each record of
// journalctl -o json-seq, and a byte order mark.
func afterPrefix(line []byte) (rest []byte, ok bool) {
	const longest = 128
	if line[0] == '\x1e' {
		return line[1:], true
	}
	for _, prefix := range []string{"data: ", "\ufeff"} {
		if rest, ok := bytes.CutPrefix(line, []byte(prefix)); ok {
			return rest, true
		}
	}
	head := line[:min(len(line), longest)]
	if line[0] == '[' {
		if end := bytes.Index(head, []byte("] ")); end > 0 {
			return line[end+2:], bytes.HasPrefix(head, []byte("[pod/"))
		}
	}
	if bar := bytes.Index(head, []byte(" | ")); bar > 0 && bytes.IndexByte(bytes.TrimRight(head[:bar], " "), ' ') < 0 {
		return line[bar+3:], true
	}
	return nil, false
}

// usual returns "HOST PROGRAM[PID]: MESSAGE" of a line with a priority before or
// after the host, as FreeBSD, BusyBox and AIX write it.
func (p *parser) usual(b []byte) []byte {
	if b[0] == '<' { // FreeBSD: "<mail.info>" or "<2.6>"
		_, b, _ = bytes.Cut(b, []byte("> "))
	}
	host, rest, _ := bytes.Cut(b, space)
	if from, ok := bytes.CutPrefix(b, []byte("Message forwarded from ")); ok { // AIX
		host, rest, _ = bytes.Cut(from, []byte(": "))
	}
	if word, after, _ := bytes.Cut(rest, space); isPriority(word) {
		rest = after
	}
	p.scratch = append(append(append(p.scratch[:0], host...), ' '), rest...)
	return p.scratch
}

// isPriority reports whether a word is a facility and a severity: "mail.info",
// "mail:info", "local0.notice".
func isPriority(word []byte) bool {
	at := bytes.IndexAny(word, ".:")
	if at <= 0 {
		return false
	}
	for _, facility := range []string{"mail", "syslog", "daemon", "local", "user"} {
		if bytes.HasPrefix(word, []byte(facility)) {
			return at+1 < len(word) && !bytes.ContainsAny(word[at+1:], ".:[/")
		}
	}
	return false
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

// fields makes a record of a line whose parts are known.
func (p *parser) fields(host, name, pid, message []byte, r *record) bool {
	kind, end := programOf(append(name[:len(name):len(name)], '['))
	if kind == other || end != len(name) {
		return false
	}
	n, digits := number(pid)
	if kind != logger && (digits == 0 || digits != len(pid)) || bytes.IndexByte(host, ' ') >= 0 || bytes.IndexByte(name, ' ') >= 0 {
		kind = damaged
	}
	p.scratch = append(append(append(p.scratch[:0], host...), ' '), name...)
	r.source, r.program, r.pid, r.message = p.scratch, kind, n, message
	return true
}
