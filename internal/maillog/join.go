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

	listeners map[string]*listener
	clients   map[string]*Client
	securitys map[encryption]*tlsstate.Security
	clear     *tlsstate.Security

	// sessions are the last of each process.
	sessions map[process]*session
	queue    queue
	// senders are the programs of the sending side by source, deliveries their
	// joiners by host.
	senders    map[string]*sender
	deliveries map[string]*Deliveries
	// dropped are the counts of lost lines that the loggers of each host reported.
	dropped map[string]int32
	// began and ended are the times of the first and last line that counted.
	began, ended int64

	lastListener *listener // of the line before: often that of this one
}

// listener is a Listener with its number and its source as logged.
type listener struct {
	Listener
	number uint64
	source string
}

// process is an smtpd(8) process, by the numbers of its listener and its own:
// one session at a time.
type process uint64

func (l *listener) process(pid uint32) process { return process(l.number<<32 | uint64(pid)) }

// session is one that is open, or the last one of a process.
type session struct {
	open     bool
	listener *listener
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
	// foreign is true if the client is not the one that connected.
	foreign bool
	at      int64
	// ended is when the session ended. unproven is true if nothing but missing
	// lines shows that it was in clear: a note that lines were lost may follow.
	ended    int64
	unproven bool
	failure  Failure // a handshake that failed: no messages
}

// end is how a session ended.
type end struct {
	known, summary, xclient bool
	startTLS                int32
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
		latest:    tlsstate.DayOf(now) + 1,
		listeners: make(map[string]*listener),
		clients:   make(map[string]*Client),
		securitys: make(map[encryption]*tlsstate.Security),
		clear:     &tlsstate.Security{},
		sessions:  make(map[process]*session),
		dropped:   make(map[string]int32),

		senders:    make(map[string]*sender),
		deliveries: make(map[string]*Deliveries),
		began:      math.MaxInt64,
		ended:      math.MinInt64,
	}
}

// take joins one event. source is its "host program".
func (j *joiner) take(e *event, source []byte) {
	switch e.kind {
	case kindGap:
		j.gap(e, source)
		return
	case kindDelivery:
		j.stats.Sending++
		s := j.sender(source)
		s.Line(time.Unix(e.at, 0).UTC(), s.program, e.pid, e.text)
		return
	}
	j.began, j.ended = min(j.began, e.at), max(j.ended, e.at)
	l := j.listener(source)
	s := j.sessions[l.process(e.pid)]
	if s != nil && s.open && e.at > s.last+patience {
		j.finish(s, end{})
	}
	switch e.kind {
	case kindFailure:
		g := j.queue.add()
		g.failure.Addr, g.at = append(g.failure.Addr, addrOf(e.client)...), e.at
	case kindConnect:
		l.Connects++
		s = j.begin(l, s, e)
		s.began = true
	case kindTLS:
		l.TLS++
		s = j.at(l, s, e)
		if s.security == nil && len(s.groups) > 0 {
			s.lost = true // no client sends mail before STARTTLS: two sessions, with lines lost between
		}
		s.security = j.security(e)
		s.mixed = s.mixed || !bytes.Equal(s.client, e.client)
	case kindClient:
		s = j.at(l, s, e)
		j.message(s, e)
	case kindDisconnect:
		l.StartTLS += int64(e.startTLS)
		if s != nil && s.open {
			s.last = e.at
			j.finish(s, end{known: true, summary: e.summary, xclient: e.xclient, startTLS: e.startTLS})
		}
	case kindBroken:
		if s != nil {
			s.lost = true
		}
	}
	j.release(e.at)
}

// at returns the session that a line belongs to: one without a beginning, if
// none is open.
func (j *joiner) at(l *listener, s *session, e *event) *session {
	if s == nil || !s.open {
		return j.begin(l, s, e)
	}
	s.last = e.at
	return s
}

// begin begins a session of a process, in the place of its last one if there is
// one.
func (j *joiner) begin(l *listener, s *session, e *event) *session {
	if s == nil {
		j.makeRoom(e.at)
		s = &session{}
		j.sessions[l.process(e.pid)] = s
	} else if s.open {
		j.finish(s, end{})
	}
	*s = session{open: true, listener: l, last: e.at, client: append(s.client[:0], e.client...), queueID: s.queueID[:0], groups: s.groups[:0]}
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
		g := s.groups[n-1]
		if g.Client == client && g.Security == security && g.Authenticated == e.authenticated && g.at/day == e.at/day {
			g.Messages++
			return
		}
	}
	g := j.queue.add()
	g.Session = Session{Messages: 1, Client: client, Listener: &s.listener.Listener, Security: security, Authenticated: e.authenticated}
	g.session, g.foreign, g.at = s, !bytes.Equal(s.client, e.client), e.at
	s.groups = append(s.groups, g)
}

// finish ends a session and decides what is known of its messages.
func (j *joiner) finish(s *session, how end) {
	for _, g := range s.groups {
		g.Unknown = s.unknown(g, how, j.clear)
		g.session, g.ended = nil, s.last
		g.unproven = g.Unknown == "" && g.Security == j.clear && !how.summary
	}
	s.open, s.groups = false, s.groups[:0]
}

// unknown returns why the TLS state of some messages is not known. Encryption has
// a line of its own. That there was none takes the whole session to know.
func (s *session) unknown(g *group, how end, clear *tlsstate.Security) Reason {
	switch {
	case (g.foreign || s.mixed) && !how.xclient:
		return Mixed
	case g.Security != clear:
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

// gap notes that lines of a host were lost, before this line or after.
func (j *joiner) gap(e *event, source []byte) {
	host, _, _ := strings.Cut(string(source), " ")
	if before := j.dropped[string(source)]; e.count > 0 {
		if j.dropped[string(source)] = e.count; e.count <= before {
			return
		}
	}
	j.stats.Gaps++
	if d := j.deliveries[host]; d != nil {
		d.Gap(time.Unix(e.at+1, 0))
	}
	for _, s := range j.sessions {
		if s.listener.Host == host {
			s.lost = true
		}
	}
	for _, g := range j.queue.all {
		if g.unproven && g.Listener.Host == host {
			g.Unknown = Lost
		}
	}
}

// makeRoom bounds the sessions that are kept: first those that ended or were
// silent too long go, then all.
func (j *joiner) makeRoom(now int64) {
	for _, silence := range []int64{patience, 0} {
		if len(j.sessions) < maxSessions {
			return
		}
		for p, s := range j.sessions {
			if !s.open || s.last <= now-silence {
				j.finish(s, end{})
				delete(j.sessions, p)
			}
		}
	}
}

// close ends what is still open and returns the counts.
func (j *joiner) close() Stats {
	for _, s := range j.sessions {
		j.finish(s, end{})
	}
	for len(j.queue.all) > 0 {
		j.emit()
	}
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
