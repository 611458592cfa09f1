package maillog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// texts are the fields of a record.
type texts []struct{ name, value []byte }

func (t *texts) set(name, value []byte) {
	*t = append(*t, struct{ name, value []byte }{name, value})
}

// text returns the first of some fields that has a text, or else what is there; nil
// where there is none. Of two with the same name the last counts.
func (t texts) text(names ...string) (found []byte) {
	for _, name := range names {
		for _, field := range t {
			if string(field.name) == name && field.value != nil {
				found = field.value
			}
		}
		if len(found) > 0 {
			break
		}
	}
	return found
}

// textOf returns a text; all bytes, or the last text, of an array: the journal
// writes so what is not UTF-8, and a field that is there twice; the name in an
// object ("host" of Filebeat); the digits of a number.
func textOf(value any) (t []byte) {
	switch v := value.(type) {
	case string:
		return []byte(v)
	case float64:
		return strconv.AppendFloat(nil, v, 'f', -1, 64)
	case map[string]any:
		for _, name := range []string{"hostname", "name"} {
			if s, ok := v[name].(string); ok {
				return []byte(s)
			}
		}
	case []any:
		for _, item := range v {
			switch item := item.(type) {
			case string:
				t = []byte(item)
			case float64:
				t = append(t, byte(item))
			}
		}
	}
	return t
}

// json reads an object: of the journal, of a log shipper that read the parts of the
// line, or of one that put the line in whole. A field of an object within is
// "process.pid".
func (t *texts) json(b []byte) bool {
	if t.flat(b) {
		return true
	}
	var all map[string]any
	if json.Unmarshal(b, &all) != nil {
		return false
	}
	for name, value := range all {
		t.set([]byte(name), textOf(value))
	}
	process, _ := all["process"].(map[string]any)
	for name, value := range process {
		t.set([]byte("process."+name), textOf(value))
	}
	return true
}

// flat reads an object of plain texts alone, as the journal writes nearly all. It
// returns false for any other.
func (t *texts) flat(b []byte) bool {
	for sep := byte('{'); ; sep = ',' {
		name, rest, ok := plain(b, sep)
		value, rest, ok2 := plain(rest, ':')
		if !ok || !ok2 {
			return false
		}
		t.set(name, value)
		if b = rest; string(b) == "}" {
			return true
		}
	}
}

// plain reads a separator and a text that is written as it is.
func plain(b []byte, sep byte) (text, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != sep || b[1] != '"' {
		return nil, nil, false
	}
	b = b[2:]
	for i, c := range b {
		switch {
		case c == '"':
			return b[:i:i], b[i+1:], true
		case c == '\\', c < ' ':
			return nil, nil, false
		}
	}
	return nil, nil, false
}

var jsonTag = []byte(`/smtpd"`)

// object reads a record in JSON.
func (p *parser) object(b []byte, r *record) bool {
	return p.fresh().json(b) && p.parts(r)
}

// fresh returns the place for the fields of the next record.
func (p *parser) fresh() *texts {
	p.texts = p.texts[:0]
	return &p.texts
}

// parts reads the fields of journalctl -o json; those of Filebeat (message, process,
// @timestamp), Vector (host, appname, procid), Fluentd and Fluent Bit (host, ident, pid,
// date), syslog-ng (HOST, PROGRAM, PID, DATE) and rsyslog (programname, or syslogtag with
// the process in it, msg); and the line of Docker's json-file (log, time), Loki (line,
// timestamp), GELF (short_message; syslog-ng has _program and _pid beside it) and Google
// (textPayload). SYSLOG_PID is what the process itself knows, inside a container too.
func (p *parser) parts(r *record) bool {
	t := p.texts
	if !r.timed {
		r.timed = p.recordTime(r)
	}
	if name := t.text("SYSLOG_IDENTIFIER"); name != nil { // of the journal
		host := t.text("_HOSTNAME")
		if p.fields(host, name, t.text("SYSLOG_PID", "_PID"), t.text("MESSAGE"), r) {
			if !r.timed || host == nil {
				r.program = damaged
			}
			return true
		}
		// The text of a container is a line of its own. The text of other programs
		// is theirs to choose.
		return t.text("CONTAINER_ID", "CONTAINER_NAME") != nil && p.inner(t.text("MESSAGE"), r)
	}
	name, pid := t.text("appname", "ident", "process.name", "PROGRAM", "programname", "_program"), t.text("procid", "pid", "process.pid", "PID", "_pid")
	if tag := t.text("syslogtag"); tag != nil {
		name, pid, _ = bytes.Cut(bytes.TrimSuffix(tag, tagEnd), []byte("["))
	}
	message := t.text("message", "MESSAGE", "msg", "log", "line", "short_message", "textPayload")
	if r.timed && p.fields(t.text("host", "HOST", "hostname"), name, pid, bytes.TrimPrefix(message, space), r) {
		return true
	}
	return p.inner(message, r)
}

// recordTime reads the time of a record.
func (p *parser) recordTime(r *record) (ok bool) {
	r.at, ok = p.texts.at()
	if date := p.texts.text("DATE"); !ok && date != nil {
		r.at, _, ok = p.clock.read(append(slices.Clip(date), ' '))
		r.yearless = ok && p.clock.yearless
	}
	return ok
}

// inner reads a line that was put whole into a record. The record's time is
// preferred, because it has the year and the zone.
func (p *parser) inner(line []byte, r *record) bool {
	line = bytes.TrimRight(line, "\r\n")
	return len(line) > 0 && line[0] != '{' && p.unwrap(line, r)
}

// at returns the time of a record.
func (t texts) at() (int64, bool) {
	if micros, err := t.micros(); err == nil && micros >= 0 {
		return micros / 1e6, true
	}
	s := string(t.text("time", "timestamp", "@timestamp", "date", "ISODATE", "timereported"))
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at.Unix(), true
	}
	n, err := strconv.ParseFloat(s, 64)
	for err == nil && n > 1e11 && n < 1e20 { // milliseconds, or nanoseconds
		n /= 1000
	}
	return int64(n), err == nil && n > 0 && n < 1e11
}

// micros returns the journal's time of a record.
func (t texts) micros() (int64, error) {
	return strconv.ParseInt(string(t.text("__REALTIME_TIMESTAMP")), 10, 64)
}

// exported reads a record of journalctl -o export: lines KEY=VALUE, or KEY, eight
// bytes of length, and that much.
func (p *parser) exported(b []byte, r *record) bool {
	t := p.fresh()
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, newline)
		key, value, ok := bytes.Cut(line, []byte("="))
		if !ok {
			if len(rest) < 8 {
				break
			}
			n := binary.LittleEndian.Uint64(rest)
			if rest = rest[8:]; n > uint64(len(rest)) {
				break
			}
			value, rest = rest[:n], bytes.TrimPrefix(rest[n:], newline)
		}
		t.set(key, value)
		b = rest
	}
	return p.parts(r)
}

var newline = []byte{'\n'}
