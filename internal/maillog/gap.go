package maillog

import "bytes"

// The words by which programs report that they dropped lines of others.
var (
	suppressed   = []byte("Suppressed ")
	rateLimit    = []byte("rate-limiting")
	droppedCount = []byte("dropped='")
	discarded    = []byte("discarded")
)

// loggerName returns how long the name is if a tag is of a program that stores
// log lines, else 0. "rsyslogd-2177" is rsyslog with the number of the message.
func loggerName(tag []byte) int {
	if len(tag) == 0 || tag[0] != 's' && tag[0] != 'r' && tag[0] != 'j' {
		return 0
	}
	name := tag
	if end := bytes.IndexAny(tag, "[:"); end >= 0 {
		name = tag[:end]
	}
	switch string(name) {
	case "systemd-journald", "systemd-journal", "journald", "journal", "rsyslogd", "syslog-ng":
		return len(name)
	}
	if bytes.HasPrefix(name, []byte("rsyslogd-")) {
		return len(name)
	}
	return 0
}

// lost reports whether a logger's message reports lost lines. Statistics count
// from the start of the logger: then count is more than 0.
func lost(message []byte) (count int32, ok bool) {
	switch {
	case bytes.Contains(message, suppressed), bytes.Contains(message, rateLimit),
		bytes.Contains(message, []byte("imuxsock lost ")), bytes.Contains(message, []byte("imuxsock begins to drop")):
		return 0, true
	case bytes.Contains(message, droppedCount): // syslog-ng: dropped='dst.file(d_mail#0)=12'
		count = sum(message, droppedCount, '\'')
	case bytes.Contains(message, discarded): // rsyslog: discarded.full=0 discarded.nf=0 ratelimit.discarded=0
		count = sum(message, discarded, ' ')
	}
	return count, count > 0
}

// sum adds the numbers that follow the last = of each field that begins with a
// word and ends with end.
func sum(message, word []byte, end byte) (total int32) {
	for {
		at := bytes.Index(message, word)
		if at < 0 {
			return total
		}
		message = message[at+len(word):]
		field := message
		if n := bytes.IndexByte(field, end); n >= 0 {
			field = field[:n]
		}
		n, _ := number(field[bytes.LastIndexByte(field, '=')+1:])
		total += int32(n % (1 << 20))
	}
}
