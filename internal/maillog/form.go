package maillog

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
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
	if bytes.HasPrefix(start, []byte("\xff\xfe")) || bytes.HasPrefix(start, []byte("\xfe\xff")) {
		return fmt.Errorf("%s: this is UTF-16: pass the output of iconv -f UTF-16 -t UTF-8", s.Name)
	}
	for _, known := range unreadable {
		if known.is.Match(start) {
			return fmt.Errorf("%s: %s", s.Name, known.text)
		}
	}
	if s.first == math.MaxInt64 {
		return fmt.Errorf("%s: no line in its first 64 KiB has a date: this is no log, or not in plain text or UTF-8", s.Name)
	}
	return nil
}

// unreadable are forms that are not read, with what to pass instead.
var unreadable = []struct {
	is   *regexp.Regexp
	text string
}{
	{regexp.MustCompile(`^LPKSHHRH`), "this is a file of the journal: pass the output of journalctl -o json --file"},
	{regexp.MustCompile(`^PK\x03\x04`), "this is a zip archive: pass the output of unzip -p"},
	// At byte 257, behind names of 200 bytes in letters of up to four.
	{regexp.MustCompile(`^(?s:.{107,257})ustar`), "this is a tar archive: pass the output of tar -xOf"},
	{regexp.MustCompile(`(?s)"(streams|result)".*"values"`), "this is an answer of Loki's API: pass the output of logcli query -o jsonl"},
	{regexp.MustCompile(`^\[[{\n]`), "this is an array of JSON: pass one object a line, as jq -c '.[]' prints it"},
	{regexp.MustCompile(`(?s) \[s=.*\n    MESSAGE=`), "this is journalctl -o verbose: pass -o json"},
	{regexp.MustCompile(`^\[ *[0-9]+\.[0-9]+\] `), "these are times since the boot, without a date (journalctl -o short-monotonic, dmesg): pass journalctl -o short-iso or -o json"},
	{regexp.MustCompile(`^([^ \n]*/smtpd\[|(dis)?connect from )`), "these are lines of Postfix without a date (journalctl -o cat): pass journalctl -o short-iso or -o json"},
	{regexp.MustCompile(`postfix/smtpd: `), "these lines of Postfix have no process number, so sessions cannot be separated: have the log server write the tag whole (PROGRAM[PID])"},
	{regexp.MustCompile(`(?s)postfix.*\.service\[`), "these lines have the unit and not the program (journalctl -o with-unit): pass journalctl -o short-iso or -o json"},
	{regexp.MustCompile(` sendmail\[`), "this is a log of sendmail, not of Postfix"},
	{regexp.MustCompile(`(?s) exim\[| <= .* => .* Completed\n`), "this is a log of Exim, not of Postfix"},
}
