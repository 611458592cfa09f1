package maillog

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
)

// form is how the records of a source are separated.
type form uint8

const (
	formLines  form = iota
	formPretty      // journalctl -o json-pretty: an object of several lines
	formExport      // journalctl -o export: fields in lines, then an empty line
)

// formOf finds the form by the beginning of a source.
func formOf(head []byte) form {
	start := bytes.TrimLeft(head, " \t\r\n\ufeff")
	if bytes.HasPrefix(start, []byte("__CURSOR=")) || bytes.HasPrefix(start, []byte("__REALTIME_TIMESTAMP=")) {
		return formExport
	}
	if first, _, ok := bytes.Cut(start, newline); ok && string(bytes.TrimSpace(first)) == "{" {
		return formPretty
	}
	return formLines
}

// end is what separates records of several lines.
func (f form) end() []byte {
	return []byte([...]string{"\n", "\n}\n", "\n\n"}[f])
}

// ends reports whether a line is the last one of a record.
func (f form) ends(line []byte) bool {
	if f == formExport {
		return string(line) == "\n"
	}
	return line[0] == '}'
}

// unread reports what a source without a line of smtpd is, and what to pass in
// its place. It returns nil if that is not known.
func (s *source) unread() error {
	start := bytes.TrimLeft(s.head, " \t\r\n\ufeff")
	if s.read > 0 || len(start) == 0 {
		return nil
	}
	for _, known := range unreadable {
		if known.is(start) {
			return fmt.Errorf("%s: %s", s.Name, known.text)
		}
	}
	if s.first == math.MaxInt64 {
		return fmt.Errorf("%s: %w", s.Name, errNoLog)
	}
	return nil
}

var errNoLog = errors.New("no line in its first 64 KiB has a date: this is no log, or not in plain text or UTF-8")

func begins(any ...string) func([]byte) bool {
	return func(head []byte) bool {
		return slices.ContainsFunc(any, func(text string) bool { return bytes.HasPrefix(head, []byte(text)) })
	}
}

func holds(all ...string) func([]byte) bool {
	return func(head []byte) bool {
		return !slices.ContainsFunc(all, func(text string) bool { return !bytes.Contains(head, []byte(text)) })
	}
}

// unreadable are forms that are not read, with what to pass instead.
var unreadable = []struct {
	is   func(head []byte) bool
	text string
}{
	{begins("\xff\xfe", "\xfe\xff"), "this is UTF-16: pass the output of iconv -f UTF-16 -t UTF-8"},
	{begins("LPKSHHRH"), "this is a file of the journal: pass the output of journalctl -o json --file"},
	{begins("PK\x03\x04"), "this is a zip archive: pass the output of unzip -p"},
	{func(head []byte) bool { return len(head) > 262 && string(head[257:262]) == "ustar" }, "this is a tar archive: pass the output of tar -xOf"},
	{holds(`"streams"`, `"values"`), "this is an answer of Loki's API: pass the output of logcli query -o jsonl"},
	{holds(`"result"`, `"values"`), "this is an answer of Loki's API: pass the output of logcli query -o jsonl"},
	{begins("[{", "[\n"), "this is an array of JSON: pass one object a line, as jq -c '.[]' prints it"},
	{holds("\n    MESSAGE=", " [s="), "this is journalctl -o verbose: pass -o json"},
	{monotonic, "these are times since the boot, without a date (journalctl -o short-monotonic, dmesg): pass journalctl -o short-iso or -o json"},
	{undated, "these are lines of Postfix without a date (journalctl -o cat): pass journalctl -o short-iso or -o json"},
	{holds("postfix/smtpd: "), "these lines of Postfix have no process number, so sessions cannot be separated: have the log server write the tag whole (PROGRAM[PID])"},
	{holds("postfix", ".service["), "these lines have the unit and not the program (journalctl -o with-unit): pass journalctl -o short-iso or -o json"},
	{holds(" sendmail["), "this is a log of sendmail, not of Postfix"},
	{holds(" exim["), "this is a log of Exim, not of Postfix"},
	{holds(" <= ", " => ", " Completed\n"), "this is a log of Exim, not of Postfix"},
}

// monotonic recognizes "[ 1234.567890] mx postfix/smtpd[7]: …".
func monotonic(head []byte) bool {
	inside, _, ok := bytes.Cut(head[1:], []byte("] "))
	_, digits := number(bytes.TrimLeft(inside, " "))
	return head[0] == '[' && ok && digits > 0 && bytes.IndexByte(inside, '.') > 0
}

// undated recognizes lines that begin with the program, or with the message.
func undated(head []byte) bool {
	line, _, _ := bytes.Cut(head, newline)
	word, _, _ := bytes.Cut(line, space)
	return bytes.Contains(word, smtpdTag) || bytes.HasPrefix(line, connectFrom) || bytes.HasPrefix(line, disconnectFrom)
}
