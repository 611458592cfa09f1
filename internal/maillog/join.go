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

// joiner joins the lines of each process to sessions.
type joiner struct {
	sink   Sink
	stats  Stats
	latest tlsstate.Day // later days are the future

	origins   map[string]*origin
	last      *origin // of the line before: often that of this one
	clients   map[string]*Client
	securitys map[encryption]*tlsstate.Security
	clear     *tlsstate.Security

	// sessions are the last of each process.
	sessions   map[process]*session
	queue      queue
	deliveries *Deliveries
	// began and ended are the times of the first and last line that counted.
	began, ended int64
}

// process is an smtpd(8) process, by the numbers of its origin and its own:
// one session at a time.
type process uint64

func (o *origin) process(pid uint32) process { return process(o.number<<32 | uint64(pid)) }

// session is one that is open, or the last one of a process.
type session struct {
	open   bool
	origin *origin
	// began is true if its "connect from" was seen, lost if lines were lost
	// since, mixed if another client was named since.
	began, lost, mixed bool
	last               int64
	client             []byte
	security           *tlsstate.Security
	queueID            []byte
	groups             []*group
}

// group is messages that differ in nothing that matters.
type group struct {
	Session          // lent to the sink
	session *session // nil after it ended
	next    *group   // in the queue
	// foreign is true if the client is not the one that connected.
	foreign bool
	at      int64
	// ended is when the session ended. unproven is true if nothing but missing
	// lines shows that it was in clear: a note that lines were lost may follow.
	ended    int64
	unproven bool
}

const (
	// patience is how many seconds a process may be silent in a session. Lines
	// that come later are of another session.
	patience = 3600
	day      = 86400
	// maxSecuritys bounds the kinds of encryption that have a pointer of their
	// own.
	maxSecuritys = 1 << 12
	// maxSessions bounds the sessions that are kept.
	maxSessions = 1 << 16
)

func newJoiner(sink Sink, now time.Time) *joiner {
	return &joiner{
		sink:      sink,
		stats:     Stats{Listeners: []*Listener{}},
		latest:    tlsstate.DayOf(now) + 1,
		origins:   make(map[string]*origin),
		clients:   make(map[string]*Client),
		securitys: make(map[encryption]*tlsstate.Security),
		clear:     &tlsstate.Security{},
		sessions:  make(map[process]*session),
		began:     math.MaxInt64,
		ended:     math.MinInt64,

		deliveries: NewDeliveries(sink.Deliveries),
	}
}

// take joins one event.
func (j *joiner) take(e *event, of *origin) {
	switch e.kind {
	case kindGap:
		j.gap(e, of)
		return
	case kindDelivery:
		j.deliveries.Line(&Line{At: time.Unix(e.at, 0).UTC(), Host: of.Host, Program: of.Service, PID: e.pid, Message: e.message})
		return
	}
	of.listens = true
	j.began, j.ended = min(j.began, e.at), max(j.ended, e.at)
	s := j.sessions[of.process(e.pid)]
	if s != nil && s.open && e.at > s.last+patience {
		j.finish(s, nil)
	}
	switch e.kind {
	case kindFailure:
		g := j.queue.add()
		g.Client, g.at = j.client(e.client), e.at
	case kindConnect:
		of.Connects++
		s = j.begin(of, s, e)
		s.began = true
	case kindTLS:
		of.TLS++
		s = j.session(of, s, e)
		if s.security == nil {
			s.lost = true // no client sends mail before STARTTLS: two sessions, with lines lost between
		}
		s.security = j.security(e)
		s.mixed = s.mixed || !bytes.Equal(s.client, e.client)
	case kindClient:
		j.message(j.session(of, s, e), e)
	case kindDisconnect:
		of.StartTLS += int64(e.count)
		if s != nil && s.open {
			s.last = e.at
			j.finish(s, e)
		}
	case kindBroken:
		if s != nil {
			s.lost = true
		}
	}
	j.release(e.at)
}

// session returns the session that a line belongs to: one without a beginning, if
// none is open.
func (j *joiner) session(of *origin, s *session, e *event) *session {
	if s == nil || !s.open {
		return j.begin(of, s, e)
	}
	s.last = e.at
	return s
}

// begin begins a session of a process, in the place of its last one if there is
// one.
func (j *joiner) begin(of *origin, s *session, e *event) *session {
	if s == nil {
		j.makeRoom(e.at)
		s = &session{}
		j.sessions[of.process(e.pid)] = s
	} else if s.open {
		j.finish(s, nil)
	}
	*s = session{open: true, origin: of, last: e.at, client: append(s.client[:0], e.client...), queueID: s.queueID[:0], groups: s.groups[:0]}
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
	s.origin.Messages++
	security := s.security
	if security == nil {
		security = j.clear
	}
	client := j.client(e.client)
	if n := len(s.groups); n > 0 {
		g := s.groups[n-1]
		if g.Client == client && g.Security == security && g.Authenticated == e.authenticated && g.at/day == e.at/day {
			g.Messages++
			return
		}
	}
	g := j.queue.add()
	g.Session = Session{Messages: 1, Client: client, Listener: &s.origin.Listener, Security: security, Authenticated: e.authenticated}
	g.session, g.foreign, g.at = s, !bytes.Equal(s.client, e.client), e.at
	s.groups = append(s.groups, g)
}

// finish ends a session and decides what is known of its messages. end is its
// kindDisconnect, nil if there was none.
func (j *joiner) finish(s *session, end *event) {
	for _, g := range s.groups {
		g.Unknown = s.unknown(g, end, j.clear)
		g.session, g.ended = nil, s.last
		g.unproven = g.Unknown == "" && g.Security == j.clear && !end.summary
	}
	s.open, s.groups = false, s.groups[:0]
}

// unknown returns why the TLS state of some messages is not known. Encryption has
// a line of its own. That there was none takes the whole session to know.
func (s *session) unknown(g *group, end *event, clear *tlsstate.Security) Reason {
	switch {
	case (g.foreign || s.mixed) && (end == nil || !end.xclient):
		return Mixed
	case g.Security != clear:
		return ""
	case !s.began:
		return NoBegin
	case s.lost:
		return Lost
	case end == nil:
		return NoEnd
	case end.count > 0 && s.security == nil:
		return Contradicted
	}
	return ""
}

// gap notes that lines of a host were lost, before this line or after.
func (j *joiner) gap(e *event, of *origin) {
	if before := of.dropped; e.count > 0 {
		if of.dropped = e.count; e.count <= before {
			return
		}
	}
	j.stats.Gaps++
	if s := j.deliveries.hosts[of.Host]; s != nil {
		s.lost(time.Unix(e.at+1, 0))
	}
	for _, s := range j.sessions {
		if s.origin.Host == of.Host {
			s.lost = true
		}
	}
	for g := j.queue.first; g != nil; g = g.next {
		if g.unproven && g.Listener.Host == of.Host {
			g.Unknown = Lost
		}
	}
}

// makeRoom bounds the sessions that are kept: first those that ended or were
// silent too long go, then all.
func (j *joiner) makeRoom(now int64) {
	for silence := int64(patience); len(j.sessions) >= maxSessions; silence -= patience {
		for p, s := range j.sessions {
			if !s.open || s.last <= now-silence {
				j.finish(s, nil)
				delete(j.sessions, p)
			}
		}
	}
}

// close ends what is still open and returns the counts.
func (j *joiner) close() Stats {
	for _, s := range j.sessions {
		j.finish(s, nil)
	}
	for j.queue.first != nil {
		j.emit()
	}
	if j.began <= j.ended {
		j.stats.Began, j.stats.Ended = time.Unix(j.began, 0).UTC(), time.Unix(j.ended, 0).UTC()
	}
	for _, o := range j.origins {
		if o.listens {
			j.stats.Listeners = append(j.stats.Listeners, &o.Listener)
		}
	}
	slices.SortFunc(j.stats.Listeners, func(a, b *Listener) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Service, b.Service))
	})
	return j.stats
}
