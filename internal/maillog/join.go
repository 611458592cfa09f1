package maillog

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"tlsratchet/tlsstate"
)

// joiner puts the lines of processes together to sessions.
type joiner struct {
	sink   Sink
	stats  Stats
	latest tlsstate.Day // later days are the future

	listeners map[string]*listener
	clients   map[string]*Client
	securitys map[string]*tlsstate.Security
	clear     *tlsstate.Security

	// sessions are the last of each process; open of them are under way.
	sessions map[process]*session
	open     int
	// began and ended are the times of the first and last line that counted.
	began, ended int64

	sources []*listener // of the chunk under way
	// the encryption of the line before: often that of this one
	lastText     []byte
	lastSecurity *tlsstate.Security

	out    Session // lent to the sink
	failed Failure // as well
}

// listener is a Listener with its number.
type listener struct {
	Listener
	number uint64
}

// process is an smtpd(8) process, by the numbers of its listener and its own:
// one session at a time.
type process uint64

func (l *listener) process(pid uint32) process { return process(l.number<<32 | uint64(pid)) }

// session is one that is under way, or the last one of a process.
type session struct {
	open     bool
	listener *listener
	// began says that its "connect from" was seen, lost that lines were lost
	// since, mixed that another client was named since.
	began, lost, mixed bool
	at, last           int64
	client             []byte
	security           *tlsstate.Security
	queueID            []byte
	groups             []group
}

// group is messages that differ in nothing that matters.
type group struct {
	client        *Client
	security      *tlsstate.Security
	authenticated bool
	// foreign says that the client is not the one that connected.
	foreign  bool
	at       int64
	messages int
}

// end is how a session ended.
type end struct {
	known, xclient bool
	startTLS       int32
}

const (
	// patience is how many seconds a process may be silent in a session. Lines
	// that come later are of another session.
	patience = 3600
	day      = 86400
	// maxSecuritys bounds the kinds of encryption that are told apart by
	// pointer.
	maxSecuritys = 1 << 12
)

func newJoiner(sink Sink, now time.Time) *joiner {
	return &joiner{
		sink:      sink,
		latest:    tlsstate.DayOf(now) + 1,
		listeners: make(map[string]*listener),
		clients:   make(map[string]*Client),
		securitys: make(map[string]*tlsstate.Security),
		clear:     &tlsstate.Security{},
		sessions:  make(map[process]*session),
		began:     math.MaxInt64,
		ended:     math.MinInt64,
	}
}

// join takes what a chunk says.
func (j *joiner) join(c *chunk) {
	j.stats.Lines += c.lines
	j.stats.Smtpd += c.smtpd
	j.stats.Broken += c.broken
	j.stats.Gaps += c.gaps
	j.sources = j.sources[:0]
	for _, s := range c.sources {
		j.sources = append(j.sources, j.listener(s))
	}
	for i := range c.events {
		e := &c.events[i]
		if e.kind == kindGap {
			j.gap(string(e.text))
			continue
		}
		j.take(e, j.sources[e.source])
	}
}

func (j *joiner) take(e *event, l *listener) {
	j.began, j.ended = min(j.began, e.at), max(j.ended, e.at)
	if e.kind == kindFailure {
		j.failed = Failure{At: time.Unix(e.at, 0).UTC(), Addr: addrOf(e.client)}
		j.sink.Failure(&j.failed)
	}
	s := j.sessions[l.process(e.pid)]
	switch {
	case s == nil || !s.open:
	case e.at < s.last:
		return // it was here already: the file, or a copy, was given twice
	case e.at > s.last+patience:
		j.finish(s, end{})
	}
	switch e.kind {
	case kindConnect:
		l.Connects++
		if s != nil && s.open {
			j.finish(s, end{})
		}
		s = j.begin(l, s, e)
		s.began = true
	case kindTLS:
		l.TLS++
		s = j.at(l, s, e)
		s.security = j.security(e)
		s.mixed = s.mixed || !bytes.Equal(s.client, e.client)
	case kindClient:
		s = j.at(l, s, e)
		j.message(s, e)
	case kindDisconnect:
		l.StartTLS += int64(e.startTLS)
		if s != nil && s.open {
			j.finish(s, end{known: true, xclient: e.xclient, startTLS: e.startTLS})
		}
	case kindBroken:
		if s != nil {
			s.lost = true // of one that has ended nobody asks
		}
	}
}

// at returns the session that a line belongs to: one without a beginning, if
// none is under way.
func (j *joiner) at(l *listener, s *session, e *event) *session {
	if s == nil || !s.open {
		return j.begin(l, s, e)
	}
	s.last = e.at
	return s
}

// begin begins a process' session, in the place of its last one if there is one.
func (j *joiner) begin(l *listener, s *session, e *event) *session {
	if s == nil {
		j.makeRoom()
		s = &session{}
		j.sessions[l.process(e.pid)] = s
	}
	*s = session{open: true, listener: l, at: e.at, last: e.at, client: append(s.client[:0], e.client...), queueID: s.queueID[:0], groups: s.groups[:0]}
	j.open++
	return s
}

// message adds one to the session. A line that is there twice counts once.
func (j *joiner) message(s *session, e *event) {
	if bytes.Equal(s.queueID, e.text) && string(e.text) != "NOQUEUE" {
		return
	}
	s.queueID = append(s.queueID[:0], e.text...)
	if e.returned {
		j.stats.Returned++
		return
	}
	s.listener.Messages++
	security := s.security
	if security == nil {
		security = j.clear
	}
	client := j.client(e.client)
	if n := len(s.groups); n > 0 {
		g := &s.groups[n-1]
		if g.client == client && g.security == security && g.authenticated == e.authenticated && g.at/day == e.at/day {
			g.messages++
			return
		}
	}
	s.groups = append(s.groups, group{
		client: client, security: security, authenticated: e.authenticated,
		foreign: !bytes.Equal(s.client, e.client), at: e.at, messages: 1,
	})
}

// finish tells what became of a session.
func (j *joiner) finish(s *session, how end) {
	for i := range s.groups {
		g := &s.groups[i]
		if tlsstate.DayOf(time.Unix(g.at, 0)) > j.latest {
			j.stats.Future++
			continue
		}
		j.out = Session{
			At: time.Unix(g.at, 0).UTC(), Messages: g.messages, Client: g.client, Listener: &s.listener.Listener,
			Security: g.security, Unknown: s.unknown(g, how, j.clear), Authenticated: g.authenticated,
		}
		j.sink.Session(&j.out)
	}
	s.open = false
	j.open--
}

// unknown tells why the TLS state of some messages is not known. Encryption has
// a line of its own; that there was none takes the whole session to tell.
func (s *session) unknown(g *group, how end, clear *tlsstate.Security) Reason {
	switch {
	case (g.foreign || s.mixed) && !how.xclient:
		return Mixed
	case g.security != clear:
		return ""
	case !s.began:
		return NoBegin
	case s.lost:
		return Lost
	case !how.known:
		return NoEnd
	case how.startTLS > 0 && s.security == nil:
		return Contradicted
	}
	return ""
}

// gap notes that lines of a host were lost.
func (j *joiner) gap(host string) {
	for _, s := range j.sessions {
		if s.listener.Host == host {
			s.lost = true
		}
	}
}

// finishAll ends the sessions that were silent since a time.
func (j *joiner) finishAll(since int64) {
	for _, s := range j.sessions {
		if s.open && s.last <= since {
			j.finish(s, end{})
		}
	}
}

// close ends what is still under way and returns the counts.
func (j *joiner) close() Stats {
	j.finishAll(math.MaxInt64)
	if j.began <= j.ended {
		j.stats.Began, j.stats.Ended = time.Unix(j.began, 0).UTC(), time.Unix(j.ended, 0).UTC()
	}
	for _, l := range j.listeners {
		j.stats.Listeners = append(j.stats.Listeners, &l.Listener)
	}
	slices.SortFunc(j.stats.Listeners, func(a, b *Listener) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Service, b.Service))
	})
	return j.stats
}
