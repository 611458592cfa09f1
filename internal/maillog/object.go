package maillog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"time"
)

// object is a record in JSON: of the journal, of a log shipper that read the parts
// of the line, or of one that put the line in whole.
type object map[string]any

// text returns the first of some fields that has a text.
func (o object) text(names ...string) []byte {
	for _, name := range names {
		if t := textOf(o[name]); len(t) > 0 {
			return t
		}
	}
	return nil
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
		return object(v).text("hostname", "name")
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

var jsonTag = []byte(`/smtpd"`)

// object reads a record in JSON.
func (p *parser) object(b []byte, r *record) bool {
	var o object
	return json.Unmarshal(b, &o) == nil && p.parts(o, r)
}

// parts reads the fields of journalctl -o json; those of Filebeat (message, process,
// @timestamp), Vector (host, appname, procid) and Fluentd (host, ident, pid); and the
// line of Docker's json-file (log, time) and Loki (line, timestamp). SYSLOG_PID is
// what the process itself knows, inside a container too.
func (p *parser) parts(o object, r *record) bool {
	if at, ok := o.at(); ok && !r.timed {
		r.at, r.timed = at, true
	}
	message := o.text("MESSAGE")
	if name, ok := o["SYSLOG_IDENTIFIER"]; ok { // of the journal
		host := o.text("_HOSTNAME")
		if p.fields(host, textOf(name), o.text("SYSLOG_PID", "_PID"), message, r) {
			if !r.timed || host == nil {
				r.program = damaged
			}
			return true
		}
		// The text of a container is a line of its own. The text of other programs
		// is theirs to choose.
		return (o["CONTAINER_ID"] != nil || o["CONTAINER_NAME"] != nil) && p.inner(message, r)
	}
	process, _ := o["process"].(map[string]any)
	name, pid := o.text("appname", "ident"), o.text("procid", "pid")
	if name == nil {
		name = object(process).text("name")
	}
	if pid == nil {
		pid = object(process).text("pid")
	}
	if r.timed && p.fields(o.text("host"), name, pid, o.text("message", "MESSAGE"), r) {
		return true
	}
	return p.inner(o.text("log", "line", "message", "MESSAGE"), r)
}

// inner reads a line that was put whole into a record. The record's time is
// preferred, because it has the year and the zone.
func (p *parser) inner(line []byte, r *record) bool {
	line = bytes.TrimRight(line, "\r\n")
	return len(line) > 0 && line[0] != '{' && p.unwrap(line, r)
}

// at returns the time of a record.
func (o object) at() (int64, bool) {
	if micros, err := o.micros(); err == nil && micros >= 0 {
		return micros / 1e6, true
	}
	s := string(o.text("time", "timestamp", "@timestamp"))
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.Unix(), true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	for err == nil && n > 1e11 { // milliseconds, or nanoseconds
		n /= 1000
	}
	return n, err == nil && n > 0
}

// micros returns the journal's time of a record.
func (o object) micros() (int64, error) {
	return strconv.ParseInt(string(o.text("__REALTIME_TIMESTAMP")), 10, 64)
}

// exported reads a record of journalctl -o export: lines KEY=VALUE, or KEY, eight
// bytes of length, and that much.
func (p *parser) exported(b []byte, r *record) bool {
	o := make(object)
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
		o[string(key)] = string(value)
		b = rest
	}
	return p.parts(o, r)
}

var newline = []byte{'\n'}
