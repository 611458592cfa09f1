package mtatest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// What Postfix 3.7 offers in the negotiation.
const (
	version  = 6
	actions  = 0x1FF // all up to SMFIF_SETSYMLIST
	protocol = 0x1FFFFF
)

// Bits of the milter's protocol answer, by their names in mfdef.h.
const (
	noConnect    = 1 << 0  // SMFIP_NOCONNECT
	noHelo       = 1 << 1  // SMFIP_NOHELO
	noMail       = 1 << 2  // SMFIP_NOMAIL
	noRcpt       = 1 << 3  // SMFIP_NORCPT
	noBody       = 1 << 4  // SMFIP_NOBODY
	noHeaders    = 1 << 5  // SMFIP_NOHDRS
	noEOH        = 1 << 6  // SMFIP_NOEOH
	noHeaderRepl = 1 << 7  // SMFIP_NR_HDR
	noData       = 1 << 9  // SMFIP_NODATA
	noConnRepl   = 1 << 12 // SMFIP_NR_CONN
	noHeloRepl   = 1 << 13 // SMFIP_NR_HELO
	noMailRepl   = 1 << 14 // SMFIP_NR_MAIL
	noRcptRepl   = 1 << 15 // SMFIP_NR_RCPT
	noDataRepl   = 1 << 16 // SMFIP_NR_DATA
	noEOHRepl    = 1 << 18 // SMFIP_NR_EOH
	noBodyRepl   = 1 << 19 // SMFIP_NR_BODY
)

// maxReply is the largest packet taken from a milter.
const maxReply = 1 << 20

// ErrProtocol is wrapped where the milter sent what Postfix would refuse.
var ErrProtocol = errors.New("milter protocol error")

// Options are what one SMTP session brings.
type Options struct {
	// IgnoreSymList plays an MTA that sends Postfix's default macros whatever
	// the milter asked for.
	IgnoreSymList bool
	// Macros are those that hold for the whole session; a Message's come on
	// top. Names have their braces: "{client_addr}", "j".
	Macros map[string]string
	// Hostname, Addr and Port are the client's, for the connect event. An
	// empty Addr sends the family "unknown".
	Hostname, Addr string
	Port           uint16
	// Helo is the name of the first EHLO; empty for none.
	Helo string
	// Timeout bounds each exchange; zero is 10 seconds.
	Timeout time.Duration
}

// Session is one SMTP session's connection to a milter. It belongs to one
// goroutine.
type Session struct {
	conn     net.Conn
	opts     Options
	symbols  [stages][]string
	protocol uint32
	actions  uint32
	until    time.Time

	out  []byte // written at the next read, as a VSTREAM does
	in   []byte
	r, w int

	over     bool  // the milter accepted or refused the whole session
	begun    bool  // connect and helo were sent
	overWith Reply // what ended it
	queued   bool  // a recipient of this message was taken
	trips    int
	sent     int
	received int
}

// Dial connects and negotiates as Postfix does. Connect and helo are sent with
// the first message, for Postfix buffers what needs no answer.
func Dial(ctx context.Context, network, addr string, opts Options) (*Session, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s := NewSession(conn, opts)
	if err := s.negotiate(); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// NewSession is for hostile tests: nothing was sent yet.
func NewSession(conn net.Conn, opts Options) *Session {
	if opts.Timeout == 0 {
		opts.Timeout = 10 * time.Second
	}
	return &Session{
		conn: conn, opts: opts, symbols: defaultSymbols,
		in: make([]byte, 4096),
	}
}

// Conn is the bare connection.
func (s *Session) Conn() net.Conn { return s.conn }

// Protocol and Actions are the milter's answer in the negotiation.
func (s *Session) Protocol() uint32 { return s.protocol }

// Actions are the modifications that the milter may make.
func (s *Session) Actions() uint32 { return s.actions }

// Symbols are the macros that are sent at a stage.
func (s *Session) Symbols(stage Stage) []string { return s.symbols[stage] }

func (s *Session) negotiate() error {
	var offer [12]byte
	binary.BigEndian.PutUint32(offer[0:], version)
	binary.BigEndian.PutUint32(offer[4:], actions)
	binary.BigEndian.PutUint32(offer[8:], protocol)
	s.put('O', offer[:])
	code, data, err := s.Recv()
	if err != nil {
		return fmt.Errorf("negotiation: %w", err)
	}
	if code != 'O' || len(data) < 12 {
		return fmt.Errorf("%w: negotiation answered by %q with %d bytes", ErrProtocol, code, len(data))
	}
	if v := binary.BigEndian.Uint32(data); v > version {
		return fmt.Errorf("%w: milter wants version %d", ErrProtocol, v)
	}
	s.actions = binary.BigEndian.Uint32(data[4:])
	s.protocol = binary.BigEndian.Uint32(data[8:])
	if s.actions&^uint32(actions) != 0 || s.protocol&^uint32(protocol) != 0 {
		return fmt.Errorf("%w: milter wants actions %#x, protocol %#x", ErrProtocol, s.actions, s.protocol)
	}
	return s.readSymLists(data[12:])
}

// readSymLists takes SETSYMLIST: a stage, its macros between spaces, NUL.
func (s *Session) readSymLists(data []byte) error {
	for len(data) > 0 {
		if len(data) < 5 {
			return fmt.Errorf("%w: macro list cut short", ErrProtocol)
		}
		stage := binary.BigEndian.Uint32(data)
		list, rest, ok := strings.Cut(string(data[4:]), "\x00")
		if !ok || stage >= uint32(stages) {
			return fmt.Errorf("%w: bad macro list for stage %d", ErrProtocol, stage)
		}
		if !s.opts.IgnoreSymList {
			s.symbols[stage] = strings.Fields(list)
		}
		data = []byte(rest)
	}
	return nil
}

// Send writes one packet at once.
func (s *Session) Send(cmd byte, data []byte) error {
	s.put(cmd, data)
	return s.flush()
}

// Recv reads one packet, after it has written what waits. The data is valid
// until the next Recv.
func (s *Session) Recv() (code byte, data []byte, err error) {
	if err := s.flush(); err != nil {
		return 0, nil, err
	}
	if err := s.fill(4); err != nil {
		return 0, nil, err
	}
	length := int(binary.BigEndian.Uint32(s.in[s.r:]))
	if length < 1 || length > maxReply {
		return 0, nil, fmt.Errorf("%w: a reply of %d bytes", ErrProtocol, length)
	}
	if err := s.fill(4 + length); err != nil {
		return 0, nil, err
	}
	packet := s.in[s.r+4 : s.r+4+length]
	s.r += 4 + length
	s.received += 4 + length
	return packet[0], packet[1:], nil
}

// fill makes in[r:w] hold n bytes.
func (s *Session) fill(n int) error {
	if s.w-s.r >= n {
		return nil
	}
	if s.r > 0 {
		s.w = copy(s.in, s.in[s.r:s.w])
		s.r = 0
	}
	if n > len(s.in) {
		s.in = append(s.in, make([]byte, n-len(s.in))...)
	}
	s.trips++
	s.arm()
	for s.w < n {
		k, err := s.conn.Read(s.in[s.w:])
		s.w += k
		if err != nil && s.w < n {
			if err == io.EOF && s.w > 0 {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// arm moves the deadline, seldom: a load generator should not spend its time
// there.
func (s *Session) arm() {
	if now := time.Now(); s.until.Sub(now) < s.opts.Timeout {
		s.until = now.Add(s.opts.Timeout + s.opts.Timeout/4)
		s.conn.SetDeadline(s.until)
	}
}

func (s *Session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	s.arm()
	n, err := s.conn.Write(s.out)
	s.sent += n
	s.out = s.out[:0]
	return err
}

// Abort makes the milter forget the current message, as at RSET. Like
// Postfix's it is sent with what follows.
func (s *Session) Abort() {
	if !s.over {
		s.put('A', nil)
	}
}

// Ehlo plays an EHLO in the middle of a session: Postfix aborts, then sends
// the milter if that wants to know.
func (s *Session) Ehlo(name string) (Reply, error) {
	s.Abort()
	s.opts.Helo = name
	if !s.begun || s.over {
		return s.overWith, nil
	}
	return s.helo()
}

// Close ends the session with QUIT.
func (s *Session) Close() error {
	if !s.over {
		s.put('Q', nil)
	}
	return errors.Join(s.flush(), s.conn.Close())
}

// put appends a packet to what is written next.
func (s *Session) put(cmd byte, data []byte) {
	at := s.open(cmd)
	s.out = append(s.out, data...)
	s.seal(at)
}

// open begins a packet in out, seal writes its length.
func (s *Session) open(cmd byte) (at int) {
	at = len(s.out)
	s.out = append(s.out, 0, 0, 0, 0, cmd)
	return at
}

func (s *Session) seal(at int) {
	binary.BigEndian.PutUint32(s.out[at:], uint32(len(s.out)-at-4))
}

func (s *Session) cstring(text string) {
	s.out = append(s.out, text...)
	s.out = append(s.out, 0)
}
