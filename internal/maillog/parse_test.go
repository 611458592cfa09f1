package maillog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"
	"unicode/utf8"
)

// found are the events of a text.
type found struct {
	events []event
	stats  Stats
}

// parsed is what is found in a text.
func parsed(t testing.TB, text []byte) (f found) {
	s := source{
		Source: Source{Stream: bytes.NewReader(text)}, options: &Options{Progress: new(Progress)},
		form: formOf(text), parser: parser{clock: clock{loc: time.UTC, year: 2026}},
	}
	if err := s.open(t.Context(), s.options.Progress); err != nil {
		t.Fatal(err)
	}
	for s.next(&f.stats) {
		e := s.event
		for _, lent := range []*[]byte{&e.source, &e.message, &e.client, &e.text} {
			*lent = bytes.Clone(*lent)
		}
		f.events = append(f.events, e)
	}
	return f
}

func TestMessage(t *testing.T) {
	for _, tt := range []struct {
		message string
		want    event // without its source
	}{
		{"connect from mx1[192.0.2.1]", event{kind: kindConnect, client: []byte("mx1[192.0.2.1]")}},
		{"connect from mx1[192.0.2.1]:25", event{kind: kindConnect, client: []byte("mx1[192.0.2.1]")}},
		{"connect from mx1[]", event{kind: kindBroken}},
		{"connect from [192.0.2.1]", event{kind: kindBroken}},
		{"connect from a b[192.0.2.1]", event{kind: kindBroken}},
		{"connect from  b[192.0.2.1]", event{kind: kindBroken}},
		{"", event{kind: kindBroken}},
		{"con", event{kind: kindBroken}},
		{"Trusted TLS connection established from mx1[::1]: TLSv1.2 with cipher X (128/128 bits)",
			event{kind: kindTLS, trusted: true, client: []byte("mx1[::1]"), text: []byte("TLSv1.2 with cipher X (128/128 bits)")}},
		{"Anonymous TLS connection established from mx1[::1]: TLSv1.2 with cipher X (128/128", event{kind: kindBroken, client: []byte("mx1[::1]")}},
		{"Anonymous TLS connection established from mx1[::1] to ", event{kind: kindBroken, client: []byte("mx1[::1]")}},
		{"4Q1: client=mx1[192.0.2.1], sasl_method=PLAIN", event{kind: kindClient, authenticated: true, client: []byte("mx1[192.0.2.1]"), text: []byte("4Q1")}},
		{"4Q1: client=mx1[192.0.2.1], orig_queue_id=4Q0", event{kind: kindClient, returned: true, client: []byte("mx1[192.0.2.1]"), text: []byte("4Q1")}},
		{"disconnect from mx1[192.0.2.1] ehlo=2 xclient=0/1 starttls=1/2 commands=3/5", event{kind: kindDisconnect, summary: true, xclient: true, count: 1, client: []byte("mx1[192.0.2.1]")}},
		{"SSL_accept error from mx1[192.0.2.1]: lost connection", event{kind: kindFailure, client: []byte("mx1[192.0.2.1]")}},
	} {
		c := parsed(t, []byte("Nov 22 10:00:00 mx1 postfix/smtpd[7]: "+tt.message+"\n"))
		if len(c.events) != 1 {
			t.Errorf("%q: %d events", tt.message, len(c.events))
			continue
		}
		got := c.events[0]
		if got.pid != 7 || string(got.source) != "mx1 postfix/smtpd" || got.at != 1795341600 {
			t.Errorf("%q: %+v", tt.message, got)
		}
		got.record = record{}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tt.want) {
			t.Errorf("%q: %+v, want %+v", tt.message, got, tt.want)
		}
	}
}

func TestClock(t *testing.T) {
	for text, want := range map[string]string{
		"Nov 22 10:11:12 x":                      "2026-11-22T10:11:12Z",
		"Nov  2 10:11:12 x":                      "2026-11-02T10:11:12Z",
		"Nov 02 10:11:12 x":                      "2026-11-02T10:11:12Z",
		"2026-11-22T10:11:12Z x":                 "2026-11-22T10:11:12Z",
		"2026-11-22T10:11:12.5Z x":               "2026-11-22T10:11:12Z",
		"2026-11-22T10:11:12.123456+02:00 x":     "2026-11-22T08:11:12Z",
		"2026-11-22T10:11:12-0530 x":             "2026-11-22T15:41:12Z",
		"2026-11-22T10:11:12+02 x":               "2026-11-22T08:11:12Z",
		"2026-11-22T10:11:12 x":                  "2026-11-22T10:11:12Z",
		"Nov 22 10:11:60 x":                      "2026-11-22T10:12:00Z",
		"Nov 22 24:00:00 x":                      "",
		"Nov 32 10:00:00 x":                      "",
		"Nov  0 10:00:00 x":                      "",
		"Nop 22 10:00:00 x":                      "",
		"Nov 22 10:61:00 x":                      "",
		"Nov 22 1a:00:00 x":                      "",
		"Nov 22 10:1a:00 x":                      "",
		"Nov 22 10:10:1a x":                      "",
		"Nov  2 10:11:12 1980 x":                 "1980-11-02T10:11:12Z",
		"Nov  2 10:11:12 2148 x":                 "2148-11-02T10:11:12Z",
		"177252480x.1 x":                         "",
		"1772524801.123456":                      "",
		"2026-13-22T10:11:12Z x":                 "",
		"2026-11-22 10:11:12 x":                  "2026-11-22T10:11:12Z",
		"2026-11-22 10:11:12.5 x":                "2026-11-22T10:11:12Z",
		"2026-11-22 10:11:12 +0100 x":            "2026-11-22T09:11:12Z",
		"Nov 2 10:11:12 x":                       "2026-11-02T10:11:12Z",
		"Nov  2 10:11:12.25 x":                   "2026-11-02T10:11:12Z",
		"Nov  2 2024 10:11:12 x":                 "2024-11-02T10:11:12Z",
		"Nov  2 10:11:12 2024 x":                 "2024-11-02T10:11:12Z",
		"2024 Nov  2 10:11:12 x":                 "2024-11-02T10:11:12Z",
		"Sun Nov 22 10:11:12 2026 x":             "2026-11-22T10:11:12Z",
		"Sun 2026-11-22 10:11:12 UTC x":          "2026-11-22T10:11:12Z",
		"Sun 2026-11-22 10:11:12 CET x":          "2026-11-22T09:11:12Z",
		"Sun 2026-11-22 10:11:12 -03 x":          "2026-11-22T13:11:12Z",
		"1795342272.123456 x":                    "2026-11-22T10:11:12Z",
		"2026-11-22T10:11:12Zulu x":              "",
		"2026-11-22T10:11:12+02:000 x":           "",
		"2026-11-22T10:11:12.999999999999999999": "",
		"":                                       "",
	} {
		c := clock{loc: time.UTC, year: 2026}
		for range 2 { // the second time it is remembered
			at, rest, ok := c.read([]byte(text))
			got := ""
			if ok {
				got = time.Unix(at, 0).UTC().Format(time.RFC3339)
			}
			if got != want || ok && string(rest) != "x" {
				t.Errorf("%q: %q, rest %q, want %q", text, got, rest, want)
			}
		}
	}
}

// TestTurn: New Year lies between months that are more than half a year apart.
func TestTurn(t *testing.T) {
	for months, want := range map[[2]time.Month]int{{7, 1}: 2026, {8, 1}: 2027, {1, 7}: 2026, {1, 8}: 2025, {12, 1}: 2027} {
		c := clock{year: 2026, month: months[0]}
		if c.turn(months[1]); c.year != want || c.month != months[1] {
			t.Errorf("%v: %d, %s", months, c.year, c.month)
		}
	}
}

// TestIncomplete: what has not all parts of a form is read as far as it goes, and
// nothing more.
func TestIncomplete(t *testing.T) {
	const from = "connect from a[192.0.2.1]"
	for text, want := range map[string]string{
		"<22>1 2026-11-22T10:00:00Z mx postfix/smtpd 7 - [x y=\"z\"] " + from:            "mx postfix/smtpd",
		"<22>1 2026-11-22T10:00:00Z mx postfix/smtpd 7 - [x " + from:                     "",
		"<22>1 2026-11-22T10:00:00Z mx postfix/smtpd 7 - -":                              "",
		`{"date":1795341600,"ident":"postfix/smtpd","pid":"7","message":"` + from + `"}`: "- postfix/smtpd",
		`{"date":1795341600,"host":"mx","ident":"postfix/smtpd","pid":"7","message":"` + from + `"}` + "\n" + `{"date":1795341600,"host":"mx","ident":"postfix/smtpd","message":"` + from + `"}`: "mx postfix/smtpd",
		`{"date":1795341600,"host":"mx","ident":"postfix/smtpd","pid":"7","msg":"x","message":"` + from + `"}`:                                                                                   "mx postfix/smtpd",
		`{"__REALTIME_TIMESTAMP":"1795341600000000","SYSLOG_IDENTIFIER":"postfix/smtpd","_PID":"7","MESSAGE":"` + from + `"}`:                                                                    "",
		`{"date":0,"host":"mx","ident":"postfix/smtpd","pid":"7","message":"` + from + `"}`:                                                                                                      "",
		`{"ISODATE":"2026-11-22T10:00:00Z","DATE":"Mar  1 10:00:00","HOST":"mx","PROGRAM":"postfix/smtpd","PID":"7","MESSAGE":"` + from + `"}`:                                                   "mx postfix/smtpd",
		"Nov 22 10:00:00 mx postfix/smtpd[7]: [ID 1 mail.info] " + from:                                                                                                                          "mx postfix/smtpd",
		"Nov 22 10:00:00 mx postfix/smtpd[7]: [x] " + from:                                                                                                                                       "",
		"Nov 22 10:00:00  postfix/smtpd[7]: " + from:                                                                                                                                             "",
		"Nov 22 10:00:00 mx x[1]postfix/smtpd[7]: " + from:                                                                                                                                       "mx x[1]postfix/smtpd",
		"\t  Nov 22 10:00:00 mx postfix/smtpd[7]: " + from:                                                                                                                                       "mx postfix/smtpd",
		"Nov 22 10:00:00 mx postfix/smtpd[7]: " + from + "\nNov 22 10:00:00 mx postfix/smtpd\n":                                                                                                  "mx postfix/smtpd",
	} {
		got := ""
		for _, e := range parsed(t, []byte(text)).events {
			got += string(e.source)
			if e.at != 1795341600 {
				t.Errorf("%s: at %d", text, e.at)
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestSessionsAreBounded, and so are the messages that wait for the end of an older one.
func TestSessionsAreBounded(t *testing.T) {
	passed := 0
	j := newJoiner(Sink{Deliveries: &deliveries{}, Session: func(*Session) { passed++ }}, time.Unix(1_800_000_000, 0))
	of := j.origin([]byte("mx postfix/smtpd"))
	for n := range 3 * maxSessions {
		e := event{record: record{at: 1_700_000_000, pid: uint32(n)}, kind: kindConnect, client: []byte("a[192.0.2.1]")}
		if n%3 == 0 {
			e.kind, e.text = kindClient, []byte("4Q1")
		}
		j.take(&e, of)
		if len(j.sessions) > maxSessions || j.queue.length > maxQueue {
			t.Fatalf("%d sessions, %d groups", len(j.sessions), j.queue.length)
		}
	}
	waits := 0
	for g := j.queue.first; g != nil; g = g.next {
		waits++
	}
	if waits != j.queue.length || waits+passed != maxSessions {
		t.Errorf("%d groups wait, counted as %d, and %d were passed on", waits, j.queue.length, passed)
	}
}

// Whatever stands in a line, what is read of it lies in it and has its form.
// TestZones: a zone is whole quarters of an hour from Greenwich.
func TestZones(t *testing.T) {
	for name, seconds := range zones {
		if seconds%900 != 0 || seconds < -12*3600 || seconds > 14*3600 {
			t.Errorf("%s: %d", name, seconds)
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, line := range []string{
		"Nov 22 10:00:00 mx1 postfix/smtpd[7]: connect from mx1[192.0.2.1]:25",
		"2026-11-22T10:00:00.1+01:00 mx1 postfix/smtpd[7]: 4Q1: client=mx1[192.0.2.1], sasl_x",
		"Nov 22 10:00:00 mx1 a/smtpd[7]: Trusted TLS connection established from mx1[::1]: TLSv1.2 with cipher X (128/128 bits)",
		"Nov 22 10:00:00 mx1 a/smtpd[7]: disconnect from mx1[192.0.2.1] ehlo=2 starttls=1/2 commands=3/5",
		"Nov 22 10:00:00 mx1 rsyslogd: rate-limiting",
		`{"__REALTIME_TIMESTAMP":"1795341600000000","_HOSTNAME":"mx1","SYSLOG_IDENTIFIER":"postfix/smtpd","_PID":"7","MESSAGE":"connect from a[b]"}`,
		`{"MESSAGE":[99,111],"SYSLOG_IDENTIFIER":"\u00e4\ud83d\ude00/smtpd"}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := parsed(t, data)
		if n := &c.stats; n.Smtpd > n.Lines || n.Broken > n.Smtpd {
			t.Errorf("%d lines, %d of smtpd, %d broken", n.Lines, n.Smtpd, n.Broken)
		}
		for _, e := range c.events {
			if e.kind == kindGap || e.kind == kindBroken || e.kind == kindDelivery {
				continue
			}
			if bytes.Count(e.source, space) != 1 || bytes.HasSuffix(e.client, []byte("[]")) || e.at < -1<<40 {
				t.Errorf("%+v", e)
			}
		}
	})
}

// Whatever a log holds, reading it ends, and what it reports is possible. Give
// -fuzzminimizetime 500x, as make fuzz does:
// else the fuzzer tries each part of a text of 4,000 bytes to shorten it, for a minute.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"postfix.log", "hostile.log"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text[:min(len(text), 4000)])
	}
	for _, text := range []string{
		"<22>1 2026-03-03T12:00:00+01:00 mx a/smtpd 7 - [x y=\"z\"] connect from a[192.0.2.1]\n",
		"__CURSOR=s\n__REALTIME_TIMESTAMP=1795341600000000\n_HOSTNAME=mx\nMESSAGE\n\x01\x00\x00\x00\x00\x00\x00\x00a\n_PID=7\nSYSLOG_IDENTIFIER=a/smtpd\n\n",
		"{\n\"__REALTIME_TIMESTAMP\":\"1795341600000000\",\n\"MESSAGE\":[97]\n}\n",
		"mail-1 | \x1b[33mTue 2026-03-03 12:00:00 CET mx a/smtpd[7]: [ID 1 mail.info] connect from a[192.0.2.1]\n",
	} {
		f.Add([]byte(text))
	}
	now := time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		messages := int64(0)
		n, err := Read(t.Context(), []Source{{Name: "-", Stream: bytes.NewReader(data)}}, Options{Now: now},
			Sink{Deliveries: &deliveries{}, Session: func(m *Session) {
				messages += int64(m.Messages)
				if m.Client == nil || m.At.After(now.AddDate(0, 0, 2)) || m.Messages > 0 && (m.Security == nil || m.Listener.Identity().IsZero()) {
					t.Errorf("%+v", m)
				}
			}})
		if err == nil && (n.Smtpd > n.Lines || n.Broken > n.Lines || messages > n.Lines) {
			t.Errorf("%+v, %d messages", n, messages)
		}
	})
}

// What is read of an object of plain texts is what the library reads.
func FuzzFlat(f *testing.F) {
	for _, text := range []string{`{"a":"b","c":""}`, `{"a":"b"}x`, `{"a" :"b"}`, `{"a":"\n"}`, `{"a":"b",}`, `{}`, `{"a":["b"]}`, "{\"a\":\"\x01\"}", `{"a":"b","a":"c"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var found texts
		if !utf8.Valid(data) || !found.flat(data) {
			return
		}
		var want map[string]string
		if err := json.Unmarshal(data, &want); err != nil {
			t.Error(err)
		}
		for _, field := range found {
			if _, is := want[string(field.name)]; !is {
				t.Errorf("%q is no field", field.name)
			}
		}
		for name, text := range want {
			if got := found.text(name); string(got) != text {
				t.Errorf("%q: %q, want %q", name, got, text)
			}
		}
	})
}
