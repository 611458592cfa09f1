package maillog

import (
	"bytes"
	"cmp"
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

	listeners map[string]*Listener
	clients   map[string]*Client
	securitys map[string]*tlsstate.Security
	clear     *tlsstate.Security

	open map[process]*session
	idle []*session // to be used again
	out  Session    // lent to the sink

	// the listener of the line before: mostly that of this one
	lastSource   []byte
	lastListener *Listener
}

// process is an smtpd(8) process: one session at a time.
type process struct {
	listener *Listener
	pid      uint32
}

// session is one that is under way.
type session struct {
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
	// maxOpen bounds the sessions under way.
	maxOpen = 1 << 16
	// maxSecuritys bounds the kinds of encryption that are told apart by
	// pointer.
	maxSecuritys = 1 << 12
)

func newJoiner(sink Sink, now time.Time) *joiner {
	return &joiner{
		sink:      sink,
		latest:    tlsstate.DayOf(now) + 1,
		listeners: make(map[string]*Listener),
		clients:   make(map[string]*Client),
		securitys: make(map[string]*tlsstate.Security),
		clear:     &tlsstate.Security{},
		open:      make(map[process]*session),
	}
}

// join takes what a chunk says.
func (j *joiner) join(c *chunk) {
	j.stats.Lines += c.lines
	j.stats.Smtpd += c.smtpd
	j.stats.Broken += c.broken
	j.stats.Gaps += c.gaps
	for i := range c.events {
		e := &c.events[i]
		if e.kind == kindGap {
			j.gap(string(e.source))
			continue
		}
		j.take(e)
	}
}

func (j *joiner) take(e *event) {
	l := j.listener(e.source)
	j.note(e.at)
	if e.kind == kindFailure {
		j.sink.Failure(&Failure{At: time.Unix(e.at, 0).UTC(), Addr: addrOf(e.client)})
	}
	p := process{l, e.pid}
	s := j.open[p]
	switch {
	case s == nil:
	case e.at < s.last:
		return // it was here already: the file, or a copy, was given twice
	case e.at > s.last+patience:
		j.finish(p, s, end{})
		s = nil
	}
	switch e.kind {
	case kindConnect:
		l.Connects++
		if s != nil {
			j.finish(p, s, end{})
		}
		s = j.begin(p, e)
		s.began = true
	case kindTLS:
		l.TLS++
		s = j.at(p, s, e)
		s.security = j.security(e)
		s.mixed = s.mixed || !bytes.Equal(s.client, e.client)
	case kindClient:
		s = j.at(p, s, e)
		j.message(l, s, e)
	case kindDisconnect:
		l.StartTLS += int64(e.startTLS)
		if s != nil {
			j.finish(p, s, end{known: true, xclient: e.xclient, startTLS: e.startTLS})
		}
	case kindBroken:
		if s != nil {
			s.lost = true
		}
	}
}

// note widens the span of the log.
func (j *joiner) note(at int64) {
	if t := time.Unix(at, 0).UTC(); j.stats.Began.IsZero() {
		j.stats.Began, j.stats.Ended = t, t
	} else if at < j.stats.Began.Unix() {
		j.stats.Began = t
	} else if at > j.stats.Ended.Unix() {
		j.stats.Ended = t
	}
}

// at returns the session that a line belongs to: one without a beginning, if
// none is under way.
func (j *joiner) at(p process, s *session, e *event) *session {
	if s == nil {
		return j.begin(p, e)
	}
	s.last = e.at
	return s
}

func (j *joiner) begin(p process, e *event) *session {
	if len(j.open) >= maxOpen {
		j.prune()
	}
	s := &session{}
	if n := len(j.idle); n > 0 {
		s, j.idle = j.idle[n-1], j.idle[:n-1]
	}
	*s = session{at: e.at, last: e.at, client: append(s.client[:0], e.client...), queueID: s.queueID[:0], groups: s.groups[:0]}
	j.open[p] = s
	return s
}

// message adds one to the session. A line that is there twice counts once.
func (j *joiner) message(l *Listener, s *session, e *event) {
	if bytes.Equal(s.queueID, e.text) && string(e.text) != "NOQUEUE" {
		return
	}
	s.queueID = append(s.queueID[:0], e.text...)
	if e.returned {
		j.stats.Returned++
		return
	}
	l.Messages++
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
func (j *joiner) finish(p process, s *session, how end) {
	for i := range s.groups {
		g := &s.groups[i]
		if tlsstate.DayOf(time.Unix(g.at, 0)) > j.latest {
			j.stats.Future++
			continue
		}
		j.out = Session{
			At: time.Unix(g.at, 0).UTC(), Messages: g.messages, Client: g.client, Listener: p.listener,
			Security: g.security, Unknown: s.unknown(g, how, j.clear), Authenticated: g.authenticated,
		}
		j.sink.Session(&j.out)
	}
	delete(j.open, p)
	j.idle = append(j.idle, s)
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
	for p, s := range j.open {
		if p.listener.Host == host {
			s.lost = true
		}
	}
}

// prune ends the sessions that were silent longest.
func (j *joiner) prune() {
	var times []int64
	for _, s := range j.open {
		times = append(times, s.last)
	}
	slices.Sort(times)
	limit := times[len(times)/2]
	for p, s := range j.open {
		if s.last <= limit {
			j.finish(p, s, end{})
		}
	}
}

// close ends what is still under way and returns the counts.
func (j *joiner) close() Stats {
	for p, s := range j.open {
		j.finish(p, s, end{})
	}
	for _, l := range j.listeners {
		j.stats.Listeners = append(j.stats.Listeners, l)
	}
	slices.SortFunc(j.stats.Listeners, func(a, b *Listener) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Service, b.Service))
	})
	return j.stats
}
