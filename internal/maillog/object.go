package maillog

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strconv"
	"time"
)

// object is what matters of a record in JSON: of the journal, of a log shipper
// that read the parts of the line, or of one that put the line in whole.
type object struct {
	// As journalctl -o json writes it. SYSLOG_PID is what the process itself
	// knows, inside a container too.
	Cursor     text `json:"__CURSOR"`
	Micros     text `json:"__REALTIME_TIMESTAMP"`
	Hostname   text `json:"_HOSTNAME"`
	Identifier text `json:"SYSLOG_IDENTIFIER"`
	SyslogPID  text `json:"SYSLOG_PID"`
	ProcessID  text `json:"_PID"`
	Message    text `json:"MESSAGE"`
	Container  text `json:"CONTAINER_ID"`
	Pod        text `json:"CONTAINER_NAME"`
	// Docker's json-file (log, time), Loki (line, timestamp), Filebeat (message,
	// @timestamp, process), Vector (host, appname, procid) and Fluentd (host, ident,
	// pid).
	Log       text                     `json:"log"`
	Line      text                     `json:"line"`
	Text      text                     `json:"message"`
	Time      text                     `json:"time"`
	Timestamp text                     `json:"timestamp"`
	Elastic   text                     `json:"@timestamp"`
	Host      text                     `json:"host"`
	AppName   text                     `json:"appname"`
	Ident     text                     `json:"ident"`
	ProcID    text                     `json:"procid"`
	PID       text                     `json:"pid"`
	Process   struct{ Name, PID text } `json:"process"`
}

// text is a value of JSON that is a text. The journal writes what is not UTF-8
// as an array of bytes, and a field that is there twice as an array.
type text []byte

// UnmarshalJSON takes the items of an array, the name in an object ("host" of
// Filebeat), and the letters of a number.
func (t *text) UnmarshalJSON(b []byte) error {
	if b[0] == '"' && bytes.IndexByte(b, '\\') < 0 {
		*t = bytes.Clone(b[1 : len(b)-1])
		return nil
	}
	var value any
	if err := json.Unmarshal(b, &value); err != nil {
		return err
	}
	switch v := value.(type) {
	case nil:
	case string:
		*t = text(v)
	case []any:
		t.items(v)
	case map[string]any:
		host, _ := v["hostname"].(string)
		name, _ := v["name"].(string)
		*t = text(cmp.Or(host, name))
	default:
		*t = bytes.Clone(b)
	}
	return nil
}

// items takes the last text, or all bytes.
func (t *text) items(all []any) {
	*t = make(text, 0, len(all))
	for _, item := range all {
		switch v := item.(type) {
		case string:
			*t = text(v)
		case float64:
			*t = append(*t, byte(v))
		}
	}
}

var jsonTag = []byte(`/smtpd"`)

// object reads a record in JSON.
func (p *parser) object(b []byte, r *record) bool {
	return p.parse(b) && p.parts(&p.parsed, r)
}

// parse reads JSON. A field that another program has as something else is left
// out.
func (p *parser) parse(b []byte) bool {
	p.parsed = object{}
	err := json.Unmarshal(b, &p.parsed)
	var odd *json.UnmarshalTypeError
	return err == nil || errors.As(err, &odd)
}

func (p *parser) parts(o *object, r *record) bool {
	if at, ok := o.at(); ok && !r.timed {
		r.at, r.timed = at, true
	}
	if o.Identifier != nil { // of the journal
		if p.fields(first(o.Hostname, text("-")), o.Identifier, first(o.SyslogPID, o.ProcessID), o.Message, r) {
			if !r.timed || o.Hostname == nil {
				r.program = damaged
			}
			return true
		}
		// The text of a container is a line of its own. The text of other programs
		// is theirs to choose.
		return (o.Container != nil || o.Pod != nil) && p.inner(o.Message, r)
	}
	if name := first(o.AppName, o.Ident, o.Process.Name); r.timed &&
		p.fields(first(o.Host, text("-")), name, first(o.ProcID, o.PID, o.Process.PID), first(o.Text, o.Message), r) {
		return true
	}
	return p.inner(first(o.Log, o.Line, o.Text, o.Message), r)
}

// inner reads a line that was put whole into a record. The record's time is
// preferred, because it has the year and the zone.
func (p *parser) inner(line text, r *record) bool {
	line = bytes.TrimRight(line, "\r\n")
	return len(line) > 0 && line[0] != '{' && p.unwrap(line, r)
}

// at returns the time of a record.
func (o *object) at() (int64, bool) {
	if micros, err := strconv.ParseInt(string(o.Micros), 10, 64); err == nil && micros >= 0 {
		return micros / 1e6, true
	}
	s := string(first(o.Time, o.Timestamp, o.Elastic))
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.Unix(), true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	for err == nil && n > 1e11 { // milliseconds, or nanoseconds
		n /= 1000
	}
	return n, err == nil && n > 0
}

func first(all ...text) text {
	for _, t := range all {
		if len(t) > 0 {
			return t
		}
	}
	return nil
}

// exported reads a record of journalctl -o export: lines KEY=VALUE, or KEY, eight
// bytes of length, and that much.
func (p *parser) exported(b []byte, r *record) bool {
	var o object
	at := map[string]*text{
		"__REALTIME_TIMESTAMP": &o.Micros, "_HOSTNAME": &o.Hostname, "SYSLOG_IDENTIFIER": &o.Identifier, "SYSLOG_PID": &o.SyslogPID,
		"_PID": &o.ProcessID, "MESSAGE": &o.Message, "CONTAINER_ID": &o.Container, "CONTAINER_NAME": &o.Pod,
	}
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
		if to := at[string(key)]; to != nil {
			*to = value
		}
		b = rest
	}
	return p.parts(&o, r)
}

var newline = []byte{'\n'}
