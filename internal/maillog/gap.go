package maillog

import "regexp"

var (
	// loggers are the programs that store log lines. "rsyslogd-2177" is rsyslog with
	// the number of the message.
	loggers = regexp.MustCompile(`^(systemd-journald?|journald?|rsyslogd(?:-[^\[:]*)?|syslog-ng)(?:[\[:]|$)`)

	// The words by which they report that they dropped lines of others; "missed" is
	// the journal's, of those that it passes on to a log server.
	dropNotes = [][]byte{[]byte("Suppressed "), []byte("rate-limiting"), []byte("Forwarding to syslog missed ")}

	// droppedCounts are "dropped='dst.file(d_mail#0)=12'" of syslog-ng, and
	// "discarded.full=0 discarded.nf=0 ratelimit.discarded=5" of rsyslog.
	droppedCounts = regexp.MustCompile(`(?:dropped='[^']*|discarded[^ ]*)=([0-9]{1,9})`)
)

// loggerName returns how long the name is if a tag is of a program that stores
// log lines, else 0.
func loggerName(tag []byte) int {
	if len(tag) == 0 || tag[0] != 's' && tag[0] != 'r' && tag[0] != 'j' {
		return 0
	}
	if name := loggers.FindSubmatch(tag); name != nil {
		return len(name[1])
	}
	return 0
}

// lost reports whether a logger's message reports lost lines. Statistics count
// from the start of the logger: then count is more than 0.
func lost(message []byte) (count int32, ok bool) {
	if containsAny(message, dropNotes) {
		return 0, true
	}
	for _, field := range droppedCounts.FindAllSubmatch(message, -1) {
		n, _ := number(field[1])
		count += int32(n % (1 << 20))
	}
	return count, count > 0
}
