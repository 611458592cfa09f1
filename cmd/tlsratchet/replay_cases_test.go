package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/replay"
)

const cases = "../../internal/replay/testdata/cases"

// replayed is the report of tlsratchet replay --json --action tempfail in a time
// zone. The zone is the process's: here it would be that of other tests too.
func replayed(t *testing.T, zone string, files ...string) replay.Report {
	t.Helper()
	args := append([]string{"replay", "--config", "none", "--json", "--action", "tempfail"}, files...)
	cmd := exec.Command("tlsratchet", args...)
	cmd.Env = append(os.Environ(), "TZ="+zone)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, &stderr, stdout)
	}
	var r replay.Report
	if err := json.Unmarshal(stdout, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// levels are the judged sessions by level, as "TLSv1.3 1, none 1".
func levels(r *replay.Report) string {
	var all []string
	for _, l := range r.Levels {
		if l.Sessions > 0 {
			all = append(all, fmt.Sprintf("%s %d", l.Level, l.Sessions))
		}
	}
	return strings.Join(all, ", ")
}

// Three sessions, TLS 1.3, TLS 1.2 and in clear, in every form of a log.
func TestReplayForms(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(cases, "forms", "*.log"))
	if err != nil || len(files) != 17 {
		t.Fatal(files, err)
	}
	dir := t.TempDir()
	for name, text := range madeForms(t) {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			r := replayed(t, "UTC", file)
			if got := levels(&r); got != "TLSv1.3 1, TLSv1.2 1, none 1" || r.Unknown.Sessions != 0 || r.Broken != 0 || len(r.Warnings) != 0 || r.Smtpd != 11 {
				t.Errorf("%s; %+v", got, r)
			}
		})
	}
}

// madeForms are the lines of forms/bsd.log as other programs write them.
func madeForms(t *testing.T) map[string]string {
	data, err := os.ReadFile(filepath.Join(cases, "forms", "bsd.log"))
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]func(at time.Time, pid, message string) string{
		"priority": func(at time.Time, pid, m string) string { return "<22>" + bsd(at, pid, m) },
		"aix": func(at time.Time, pid, m string) string {
			return at.Format(time.Stamp) + " mx mail:info postfix/smtpd[" + pid + "]: " + m
		},
		"aix-forwarded": func(at time.Time, pid, m string) string {
			return at.Format(time.Stamp) + " Message forwarded from mx: postfix/smtpd[" + pid + "]: " + m
		},
		"freebsd-names": func(at time.Time, pid, m string) string {
			return at.Format(time.Stamp) + " <mail.info> mx postfix/smtpd[" + pid + "]: " + m
		},
		"year-after-day":  func(at time.Time, pid, m string) string { return at.Format("Jan _2 2006 15:04:05") + tagged(pid, m) },
		"year-at-the-end": func(at time.Time, pid, m string) string { return at.Format("Jan _2 15:04:05 2006") + tagged(pid, m) },
		"year-first":      func(at time.Time, pid, m string) string { return at.Format("2006 Jan _2 15:04:05") + tagged(pid, m) },
		"space-fraction":  func(at time.Time, pid, m string) string { return at.Format("2006-01-02 15:04:05.000") + tagged(pid, m) },
		"short-unix":      func(at time.Time, pid, m string) string { return fmt.Sprintf("%d.123456", at.Unix()) + tagged(pid, m) },
		"rfc5424-data": func(at time.Time, pid, m string) string {
			return "<22>1 " + at.Format(time.RFC3339) + " mx postfix/smtpd " + pid + ` - [origin ip="192.0.2.1" software="x"][y z="1"] ` + "\ufeff" + m
		},
		"containerd": func(at time.Time, pid, m string) string {
			return at.Format(time.RFC3339Nano) + " stdout F " + bsd(at, pid, m)
		},
		"kubectl-prefix": func(at time.Time, pid, m string) string { return "[pod/mail-0/postfix] " + bsd(at, pid, m) },
		"compose-t": func(at time.Time, pid, m string) string {
			return "mail-1  | " + at.Format(time.RFC3339Nano) + " " + bsd(at, pid, m)
		},
		"json-seq": func(at time.Time, pid, m string) string { return "\x1e" + journal(at, pid, m) },
		"json-sse": func(at time.Time, pid, m string) string { return "data: " + journal(at, pid, m) + "\n" },
		"export": func(at time.Time, pid, m string) string {
			size := binary.LittleEndian.AppendUint64(nil, uint64(len("a\nb")))
			return fmt.Sprintf("__CURSOR=s=1\n__REALTIME_TIMESTAMP=%d\n_HOSTNAME=mx\nNOTE\n%sa\nb\nSYSLOG_IDENTIFIER=postfix/smtpd\n_PID=%s\nMESSAGE=%s\n", at.UnixMicro(), size, pid, m)
		},
		"export-binary": func(at time.Time, pid, m string) string {
			size := binary.LittleEndian.AppendUint64(nil, uint64(len(m)))
			return fmt.Sprintf("__REALTIME_TIMESTAMP=%d\n_HOSTNAME=mx\nSYSLOG_IDENTIFIER=postfix/smtpd\n_PID=%s\nMESSAGE\n%s%s\n", at.UnixMicro(), pid, size, m)
		},
		"journal-container": func(at time.Time, pid, m string) string {
			return object("__REALTIME_TIMESTAMP", fmt.Sprint(at.UnixMicro()), "_HOSTNAME", "node", "SYSLOG_IDENTIFIER", "0123456789ab", "_PID", "1", "CONTAINER_NAME", "mail", "MESSAGE", bsd(at, pid, m))
		},
		"filebeat": func(at time.Time, pid, m string) string {
			return object("@timestamp", at.Format("2006-01-02T15:04:05.000Z"), "message", bsd(at, pid, m))
		},
		"filebeat-parsed": func(at time.Time, pid, m string) string {
			text, _ := json.Marshal(m)
			return fmt.Sprintf(`{"@timestamp":"%s","host":{"hostname":"mx"},"log":{"syslog":{"priority":22}},"message":%s,"process":{"name":"postfix/smtpd","pid":%s}}`, at.Format("2006-01-02T15:04:05.000Z"), text, pid)
		},
		"fluentd": func(at time.Time, pid, m string) string {
			return at.Format(time.RFC3339) + "\tmail.info\t" + object("host", "mx", "ident", "postfix/smtpd", "pid", pid, "message", m)
		},
		"rfc5424-file": func(at time.Time, pid, m string) string {
			return "1 " + at.Format(time.RFC3339) + " mx postfix/smtpd " + pid + " - - " + m
		},
		"fluent-bit": func(at time.Time, pid, m string) string {
			text, _ := json.Marshal(m)
			return fmt.Sprintf(`{"date":%d.123456,"pri":"22","host":"mx","ident":"postfix/smtpd","pid":%q,"message":%s}`, at.Unix(), pid, text)
		},
		"syslog-ng": func(at time.Time, pid, m string) string {
			return object("PROGRAM", "postfix/smtpd", "PRIORITY", "info", "PID", pid, "MESSAGE", m, "HOST", "mx", "FACILITY", "mail", "DATE", at.Format(time.Stamp))
		},
		"syslog-ng-iso": func(at time.Time, pid, m string) string {
			return object("PROGRAM", "postfix/smtpd", "PID", pid, "MESSAGE", m, "HOST", "mx", "DATE", at.Format(time.Stamp), "ISODATE", at.Format(time.RFC3339))
		},
		"rsyslog": func(at time.Time, pid, m string) string {
			return object("timestamp", at.Format(time.RFC3339), "host", "mx", "severity", "info", "programname", "postfix/smtpd", "procid", pid, "message", " "+m)
		},
		"rsyslog-tag": func(at time.Time, pid, m string) string {
			return object("timereported", at.Format(time.RFC3339), "hostname", "mx", "syslogtag", "postfix/smtpd["+pid+"]:", "msg", " "+m)
		},
		"gelf": func(at time.Time, pid, m string) string {
			text, _ := json.Marshal(bsd(at, pid, m))
			return fmt.Sprintf(`{"version":"1.1","host":"mx","short_message":%s,"timestamp":%d.5}`, text, at.Unix())
		},
		"gelf-syslog-ng": func(at time.Time, pid, m string) string {
			text, _ := json.Marshal(m)
			return fmt.Sprintf(`{"version":"1.1","timestamp":%d,"short_message":%s,"level":6,"host":"mx","_program":"postfix/smtpd","_pid":%s,"_facility":"mail"}`, at.Unix(), text, pid)
		},
		"google": func(at time.Time, pid, m string) string {
			return object("textPayload", bsd(at, pid, m), "timestamp", at.Format(time.RFC3339Nano))
		},
		"vector": func(at time.Time, pid, m string) string {
			return object("appname", "postfix/smtpd", "facility", "mail", "host", "mx", "message", m, "procid", pid, "timestamp", at.Format(time.RFC3339))
		},
	}
	made := make(map[string]string)
	for name, form := range forms {
		for line := range strings.Lines(string(data)) {
			at, err := time.Parse(time.Stamp, line[:len(time.Stamp)])
			if err != nil {
				t.Fatal(err)
			}
			at = at.AddDate(2026, 0, 0)
			tag, message, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "]: ")
			made[name] += form(at, tag[strings.IndexByte(tag, '[')+1:], message) + "\n"
		}
	}
	return made
}

func tagged(pid, message string) string { return " mx postfix/smtpd[" + pid + "]: " + message }

func bsd(at time.Time, pid, message string) string {
	return at.Format(time.Stamp) + tagged(pid, message)
}

func journal(at time.Time, pid, message string) string {
	return object("__REALTIME_TIMESTAMP", fmt.Sprint(at.UnixMicro()), "_HOSTNAME", "mx", "SYSLOG_IDENTIFIER", "postfix/smtpd", "_PID", pid, "MESSAGE", message)
}

// object writes pairs of key and value as JSON.
func object(pairs ...string) string {
	all := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	data, _ := json.Marshal(all)
	return string(data)
}

// What replay must report of logs as they are.
func TestReplayCases(t *testing.T) {
	stripped := []string{"address:192.0.2.10 stripped tempfail 1"}
	for _, tt := range []struct {
		file, zone, levels string
		unknown, exempt    int
		incidents          []string
		warning            string
	}{
		{"tls-then-clear.log", "UTC", "TLSv1.3 7, none 1", 0, 0, stripped, ""},
		{"sni-then-clear.log", "UTC", "TLSv1.3 7, none 1", 0, 0, stripped, ""},
		{"ratelimit-journal.log", "UTC", "TLSv1.2 5", 1, 0, nil, "The log server dropped lines"},
		{"ratelimit-imuxsock.log", "UTC", "TLSv1.2 5", 1, 0, nil, "The log server dropped lines"},
		{"gateway.log", "UTC", "", 0, 19, nil, "172.18.0.1 sent mail in 19 sessions"},
		{"end-of-summer-time.log", "Europe/Berlin", "TLSv1.3 3", 0, 0, nil, ""},
	} {
		t.Run(tt.file, func(t *testing.T) {
			r := replayed(t, tt.zone, filepath.Join(cases, tt.file))
			var incidents []string
			for _, i := range r.Incidents {
				incidents = append(incidents, fmt.Sprintf("%s %s %s %d", i.Identity, i.Kind, i.Action, i.Messages))
			}
			if levels(&r) != tt.levels || r.Unknown.Sessions != tt.unknown || r.Exempt.Sessions != tt.exempt || fmt.Sprint(incidents) != fmt.Sprint(tt.incidents) {
				t.Errorf("%+v", r)
			}
			if !strings.Contains(strings.Join(r.Warnings, "\n"), tt.warning) || tt.warning == "" && len(r.Warnings) > 0 {
				t.Errorf("%v", r.Warnings)
			}
			if tt.unknown > 0 && r.Reasons["lines were lost meanwhile"] != tt.unknown {
				t.Errorf("%v", r.Reasons)
			}
		})
	}
}

// The same mail in several files counts once.
func TestReplaySameMail(t *testing.T) {
	dir := t.TempDir()
	data, err := os.ReadFile(filepath.Join(cases, "tls-then-clear.log"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for name, text := range map[string]string{
		"mail.log": string(data), "mail.info": string(data), // and a part, with other lines in between
		"syslog": strings.ReplaceAll(string(data[len(data)/2:]), "\nNov 23", "\nNov 23 09:00:00 mx sshd[7]: x\nNov 23"),
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	r := replayed(t, "UTC", files...)
	if levels(&r) != "TLSv1.3 7, none 1" || r.Unknown.Sessions != 0 || r.Repeated < 30 || len(r.Incidents) != 1 || r.Incidents[0].Messages != 1 {
		t.Errorf("%+v", r)
	}
}
