package mtatest

import (
	"encoding/binary"
	"fmt"
)

// maxChunk is the most of a body that goes into one packet
// (MILTER_CHUNK_SIZE).
const maxChunk = 65535

// Message is one mail of a session. Sending doesn't change it, so sessions may
// share one.
type Message struct {
	// Macros are on top of the session's, such as "{tls_version}" and "i".
	Macros map[string]string
	// From and Rcpts are addresses without angle brackets; an empty From is
	// the null sender.
	From  string
	Rcpts []string
	// Args are MAIL's ESMTP parameters, such as "SIZE=1000".
	Args []string
	// Headers are names and values.
	Headers [][2]string
	// Body has CRLF line ends.
	Body []byte
}

// Message plays one message in Postfix's order, up to the reply that ends it,
// and aborts after it. An error means that Postfix would have given up on the
// milter.
func (s *Session) Message(m Message) (Result, error) {
	var r Result
	err := s.Run(&m, &r)
	return r, err
}

// Run is Message for load: it uses the result's memory again.
func (s *Session) Run(m *Message, r *Result) error {
	r.reset()
	s.queued = false
	trips, sent, received := s.trips, s.sent, s.received
	err := s.play(m, r)
	r.Trips, r.Sent, r.Received = s.trips-trips, s.sent-sent, s.received-received
	s.Abort()
	return err
}

func (s *Session) play(m *Message, r *Result) error {
	if err := s.begin(); err != nil {
		return err
	}
	if s.over {
		r.End = s.overWith
		return nil
	}
	for _, step := range [...]func(*Message, *Result) (bool, error){
		s.mail, s.rcpts, s.data, s.headers, s.eoh, s.body, s.eob,
	} {
		if over, err := step(m, r); over || err != nil {
			return err
		}
	}
	return nil
}

// begin says connect and helo, once.
func (s *Session) begin() error {
	if s.begun {
		return nil
	}
	s.begun = true
	reply, err := s.connect()
	if err != nil || reply.ends() {
		s.over, s.overWith = reply.ends(), reply
		return err
	}
	if s.opts.Helo == "" {
		return nil
	}
	_, err = s.helo()
	return err
}

func (s *Session) connect() (Reply, error) {
	s.macros(StageConnect, 'C', nil)
	if s.protocol&noConnect != 0 {
		return Reply{}, nil
	}
	at := s.open('C')
	s.cstring(s.opts.Hostname)
	if s.opts.Addr == "" {
		s.out = append(s.out, 'U')
	} else {
		s.out = append(s.out, family(s.opts.Addr))
		s.out = binary.BigEndian.AppendUint16(s.out, s.opts.Port)
		s.cstring(s.opts.Addr)
	}
	s.seal(at)
	return s.reply('C', noConnRepl)
}

func family(addr string) byte {
	for i := range len(addr) {
		if addr[i] == ':' {
			return '6'
		}
	}
	return '4'
}

func (s *Session) helo() (Reply, error) {
	s.macros(StageHelo, 'H', nil)
	if s.protocol&noHelo != 0 {
		return Reply{}, nil
	}
	at := s.open('H')
	s.cstring(s.opts.Helo)
	s.seal(at)
	reply, err := s.reply('H', noHeloRepl)
	if err == nil && reply.ends() {
		s.over, s.overWith = true, reply
	}
	return reply, err
}

func (s *Session) mail(m *Message, r *Result) (bool, error) {
	s.macros(StageMail, 'M', m)
	if s.protocol&noMail != 0 {
		return false, nil
	}
	at := s.open('M')
	s.path(m.From)
	for _, arg := range m.Args {
		s.cstring(arg)
	}
	s.seal(at)
	return s.event('M', noMailRepl, r)
}

func (s *Session) path(addr string) {
	s.out = append(s.out, '<')
	s.out = append(s.out, addr...)
	s.out = append(s.out, '>', 0)
}

// rcpts goes on after a refused recipient; with none left there is no DATA.
func (s *Session) rcpts(m *Message, r *Result) (bool, error) {
	taken := 0
	for _, rcpt := range m.Rcpts {
		s.macros(StageRcpt, 'R', m)
		var reply Reply
		if s.protocol&noRcpt == 0 {
			at := s.open('R')
			s.path(rcpt)
			s.seal(at)
			var err error
			if reply, err = s.reply('R', noRcptRepl); err != nil {
				return true, err
			}
			r.Replies = append(r.Replies, reply)
		}
		r.Rcpts = append(r.Rcpts, reply)
		if reply.Code == 'a' || reply.Code == 'd' {
			r.End = reply
			return true, nil
		}
		if !reply.Refused() {
			taken++
			s.queued = true
		}
	}
	return taken == 0, nil
}

func (s *Session) data(m *Message, r *Result) (bool, error) {
	s.macros(StageData, 'T', m)
	if s.protocol&noData != 0 {
		return false, nil
	}
	s.put('T', nil)
	return s.event('T', noDataRepl, r)
}

func (s *Session) headers(m *Message, r *Result) (bool, error) {
	if s.protocol&noHeaders != 0 {
		return false, nil
	}
	for _, h := range m.Headers {
		s.macros(StageEOH, 'L', m)
		at := s.open('L')
		s.cstring(h[0])
		s.cstring(h[1])
		s.seal(at)
		if over, err := s.event('L', noHeaderRepl, r); over || err != nil {
			return over, err
		}
	}
	return false, nil
}

func (s *Session) eoh(m *Message, r *Result) (bool, error) {
	s.macros(StageEOH, 'N', m)
	if s.protocol&noEOH != 0 {
		return false, nil
	}
	s.put('N', nil)
	return s.event('N', noEOHRepl, r)
}

func (s *Session) body(m *Message, r *Result) (bool, error) {
	if s.protocol&noBody != 0 {
		return false, nil
	}
	for rest := m.Body; len(rest) > 0; {
		n := min(len(rest), maxChunk)
		s.macros(StageEOM, 'B', m)
		s.put('B', rest[:n])
		rest = rest[n:]
		before := len(r.Replies)
		if over, err := s.event('B', noBodyRepl, r); over || err != nil {
			return over, err
		}
		if len(r.Replies) > before && r.Replies[before].Code == 's' {
			return false, nil // SMFIR_SKIP: enough of this body
		}
	}
	return false, nil
}

// eob gathers modifications until the reply that ends the message.
func (s *Session) eob(m *Message, r *Result) (bool, error) {
	s.macros(StageEOM, 'E', m)
	s.put('E', nil)
	for {
		code, data, err := s.Recv()
		if err != nil {
			return true, fmt.Errorf("reply to E: %w", err)
		}
		done, err := r.edit(code, data)
		if err != nil {
			return true, err
		}
		if done {
			continue
		}
		reply, err := parseReply('E', code, data)
		if err != nil {
			return true, err
		}
		if reply.Code == 'p' {
			continue
		}
		r.Replies = append(r.Replies, reply)
		r.End = reply
		return true, nil
	}
}

// event waits for the reply to an event that isn't a recipient's.
func (s *Session) event(cmd byte, silent uint32, r *Result) (over bool, err error) {
	if s.protocol&silent != 0 {
		return false, s.spill()
	}
	reply, err := s.reply(cmd, 0)
	if err != nil {
		return true, err
	}
	r.Replies = append(r.Replies, reply)
	if reply.ends() {
		r.End = reply
	}
	return reply.ends(), nil
}

// reply waits for one, unless the milter negotiated that none comes.
func (s *Session) reply(cmd byte, silent uint32) (Reply, error) {
	if s.protocol&silent != 0 {
		return Reply{}, s.spill()
	}
	for {
		code, data, err := s.Recv()
		if err != nil {
			return Reply{}, fmt.Errorf("reply to %c: %w", cmd, err)
		}
		if reply, err := parseReply(cmd, code, data); err != nil || reply.Code != 'p' {
			return reply, err
		}
	}
}

// spill writes when as much has gathered as fits a VSTREAM.
func (s *Session) spill() error {
	if len(s.out) < 4096 {
		return nil
	}
	return s.flush()
}
