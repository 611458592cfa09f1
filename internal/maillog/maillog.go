package maillog

import (
	"strings"
	"sync/atomic"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/tlsstate"
)

// Session is messages of one session, all of one day and sent in one state of
// encryption; or a TLS handshake that failed. It is only lent. What it points to stays, and is the same pointer
// for the same thing throughout one [Read].
type Session struct {
	// At is when the first of the messages came, to the second.
	At time.Time
	// Messages is how many there were; 0 for a handshake that failed, of which
	// nothing but At and Client is known.
	Messages int
	Client   *Client
	Listener *Listener
	// Security is what the session used: Plaintext too where Unknown is set.
	Security *tlsstate.Security
	// Unknown is why the TLS state is not known, or "".
	Unknown Reason
	// Authenticated is true if the client logged in with SASL.
	Authenticated bool
}

// Client is an SMTP client as Postfix logs it. The texts are not clean.
type Client struct {
	// Name is the name that DNS confirmed, or "unknown".
	Name string
	// Addr is the address.
	Addr string
	// Known is for the receiver of sessions to keep what it knows of the client.
	Known any
}

// Listener is where sessions came in, as far as the log knows: a host and a
// syslog name. What it counts is complete when [Read] returns.
type Listener struct {
	// Host and Service are as logged: "mx1" and "postfix/smtpd".
	Host    string `json:"host"`
	Service string `json:"service"`
	// Connects and Messages were logged; TLS counts the lines about TLS
	// connections, StartTLS the STARTTLS commands that worked, by the summaries
	// at the end of sessions. TLS 0 with StartTLS more than that means that
	// smtpd_tls_loglevel = 1 is missing; both 0, that or no STARTTLS.
	Connects int64 `json:"connects"`
	Messages int64 `json:"messages"`
	TLS      int64 `json:"tls"`
	StartTLS int64 `json:"starttls"`

	id tlsstate.Identity // once asked for
}

// Identity returns a listener's identity for the histories of a replay,
// "listener:log/mx1/postfix/smtpd": the log doesn't know our address and port.
// It is never the identity that the milter learns of. One goroutine at a time may
// ask.
func (l *Listener) Identity() tlsstate.Identity {
	if l.id.IsZero() {
		name := strings.ToLower("log/" + l.Host + "/" + l.Service)
		l.id = tlsstate.Identity{Kind: tlsstate.Listener, Name: strings.ReplaceAll(clean.Text(name, maxListener), " ", "?")}
	}
	return l.id
}

const maxListener = 200

// Reason is why the TLS state of a session is not known.
type Reason string

// The reasons.
const (
	// NoBegin: the log has no "connect from" for it. It begins in the middle.
	NoBegin Reason = "the session's beginning is missing"
	// NoEnd: the log has no "disconnect from" for it.
	NoEnd Reason = "the session's end is missing"
	// Lost: lines were dropped for their number, or cut, meanwhile.
	Lost Reason = "lines were lost meanwhile"
	// Contradicted: STARTTLS worked, and there is no line about it.
	Contradicted Reason = "STARTTLS worked, but its line is missing"
	// Mixed: the lines speak of more than one client.
	Mixed Reason = "the lines are of more than one client"
)

// Stats is what a log held. Its JSON is a part of what tlsratchet replay --json
// prints.
type Stats struct {
	// Began and Ended are the times of the first and last line that counted, in
	// UTC: zero if there was none.
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	// Lines are all lines, Smtpd those of smtpd(8), and Broken those of them
	// that were cut, mixed up or otherwise could not be read. Lines longer
	// than a megabyte are broken too.
	Lines  int64 `json:"lines"`
	Smtpd  int64 `json:"smtpd"`
	Broken int64 `json:"broken"`
	// Gaps are notes of the journal or of rsyslog that they dropped lines.
	Gaps int64 `json:"gaps"`
	// Repeated are lines of interest that were read already, in another file or
	// in an earlier part of the same: they count once.
	Repeated int64 `json:"repeated"`
	// Returned are messages that a content filter gave back.
	Returned int64 `json:"returned"`
	// Future are sessions dated later than tomorrow, which were left out.
	Future int64 `json:"future"`
	// Listeners are in order of host and service.
	Listeners []*Listener `json:"listeners"`
	// Years are the years in which files without a year in their times begin,
	// where the time of the file decided that.
	Years []int `json:"years,omitempty"`
	// Problems are what was wrong with single files, which were read as far
	// as they went. Show them.
	Problems []error `json:"-"`
}

// Progress is how far a [Read] has come, for others to look at meanwhile.
type Progress struct {
	// Bytes were read of files of Total, both as they are on the disk. What
	// comes by standard input is in Bytes alone.
	Bytes, Total atomic.Int64
	// Lines were read.
	Lines atomic.Int64
}

// Options are how to read.
type Options struct {
	// Year is the year in which each file begins, for times without a year; 0
	// to find it by the time of the file.
	Year int
	// Now is the time at which the log is read. Required: what is dated later than the
	// day after is left out, and times without a zone are of its location.
	Now time.Time
	// Progress, if not nil, is kept up to date.
	Progress *Progress
}

// Sink receives the contents of a log. All are called by one goroutine, in the
// order in which the messages came.
type Sink struct {
	Session func(*Session)
	// Deliveries come in the order in which they ended.
	Deliveries DeliverySink
}
