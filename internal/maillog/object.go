package maillog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
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
	Log       text        `json:"log"`
	Line      text        `json:"line"`
	Text      text        `json:"message"`
	Time      text        `json:"time"`
	Timestamp text        `json:"timestamp"`
	Elastic   text        `json:"@timestamp"`
	Host      text        `json:"host"`
	AppName   text        `json:"appname"`
	Ident     text        `json:"ident"`
	ProcID    text        `json:"procid"`
	PID       text        `json:"pid"`
	Process   beatProcess `json:"process"`
}

// beatProcess is Filebeat's object of that name. Another shipper's may be a text.
type beatProcess struct{ Name, PID text }

// UnmarshalJSON ignores what is not an object.
func (p *beatProcess) UnmarshalJSON(b []byte) error {
	if b[0] != '{' {
		return nil
	}
	type fields beatProcess
	return json.Unmarshal(b, (*fields)(p))
}

// text is a value of JSON that is a text. The journal writes what is not UTF-8
// as an array of bytes, and a field that is there twice as an array.
type text []byte

// UnmarshalJSON takes the last item of an array of texts, the name in an object
// ("host" of Filebeat), and the letters of a number. It looks one level deep.
func (t *text) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		return t.quoted(b)
	case '[':
		return t.array(b)
	case '{':
		var host struct{ Hostname, Name json.RawMessage }
		err := json.Unmarshal(b, &host)
		if name := first(text(host.Hostname), text(host.Name)); len(name) > 0 && name[0] == '"' {
			return t.quoted(name)
		}
		return err
	case 'n':
	default:
		*t = bytes.Clone(b)
	}
	return nil
}

func (t *text) quoted(b []byte) error {
	if bytes.IndexByte(b, '\\') < 0 {
		*t = bytes.Clone(b[1 : len(b)-1])
		return nil
	}
	var s string
	err := json.Unmarshal(b, &s)
	*t = text(s)
	return err
}

func (t *text) array(b []byte) error {
	var items []json.RawMessage
	if err := json.Unmarshal(b, &items); err != nil {
		return err
	}
	*t = make(text, 0, len(items))
	for _, item := range items {
		if item[0] == '"' {
			if err := t.quoted(item); err != nil {
				return err
			}
		} else if n, err := strconv.ParseUint(string(item), 10, 8); err == nil {
			*t = append(*t, byte(n))
		}
	}
	return nil
}

var jsonTag = []byte(`/smtpd"`)

// object reads a record in JSON.
func (p *parser) object(b []byte, r *record) bool {
	p.parsed = object{}
	return json.Unmarshal(b, &p.parsed) == nil && p.parts(&p.parsed, r)
}

func (p *parser) parts(o *object, r *record) bool {
	if at, ok := o.at(); ok && !r.timed {
		r.at, r.timed = at, true
	}
	if o.Identifier != nil { // of the journal
		if p.fields(o.Hostname, o.Identifier, first(o.SyslogPID, o.ProcessID), o.Message, r) {
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
