package posttest

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Sink is an SMTP server that takes all mail, behaves as it is set, and notes
// how each recipient's message came: the receiver's truth.
type Sink struct {
	sessions
	config *tls.Config
	behave atomic.Pointer[Behaviour]
	// stalled is when the last session ended that Stall left alone, in Unix milliseconds.
	stalled atomic.Int64

	notes    sync.Mutex
	received []Receipt
}

// Behaviour is what a [Sink] does. The zero value offers STARTTLS and takes all.
type Behaviour struct {
	// NoOffer offers no STARTTLS, Refuse answers it with 454, Break ends the
	// handshake, DropAfter closes the connection at the first command after it.
	NoOffer, Refuse, Break, DropAfter bool
	// Stall answers nothing over TLS, and offers none to a session that follows at once,
	// as somebody on the way does.
	Stall bool
	// Hang never greets.
	Hang bool
	// RefuseMail answers MAIL with 450, RefuseFirst the first recipient of each
	// message.
	RefuseMail, RefuseFirst bool
	// Text follows "ok" in replies to a message, and "not now" in refusals.
	Text string
	// Max is the highest version of TLS; 0 for 1.3. Min may be 1.0.
	Min, Max uint16
}

// Receipt is one recipient's message as it came.
type Receipt struct {
	Recipient string
	// Version is that of TLS, 0 for clear.
	Version uint16
	At      time.Time
}

// NewSink listens at addr, host:port, with a certificate of the CA for host.
func NewSink(addr, host string, ca *CA) (*Sink, error) {
	cert, err := ca.Issue(host)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	s := &Sink{config: &tls.Config{Certificates: []tls.Certificate{cert}}}
	s.behave.Store(&Behaviour{})
	s.serve(l, s.session)
	return s, nil
}

// TLSA returns the data of a TLSA record (RFC 6698) for the sink's key: DANE-EE,
// by the SHA-256 of the public key.
func (s *Sink) TLSA() string {
	cert, err := x509.ParseCertificate(s.config.Certificates[0].Certificate[0])
	if err != nil {
		return ""
	}
	return fmt.Sprintf("3 1 1 %x", sha256.Sum256(cert.RawSubjectPublicKeyInfo))
}

// Set changes the behaviour, for sessions that begin from now on.
func (s *Sink) Set(b Behaviour) { s.behave.Store(&b) }

// Received returns what came so far.
func (s *Sink) Received() []Receipt {
	s.notes.Lock()
	defer s.notes.Unlock()
	return append([]Receipt(nil), s.received...)
}

// Count returns how much came so far.
func (s *Sink) Count() int {
	s.notes.Lock()
	defer s.notes.Unlock()
	return len(s.received)
}

func (s *Sink) session(c net.Conn) {
	c.SetDeadline(time.Now().Add(time.Minute))
	b := *s.behave.Load()
	b.NoOffer = b.NoOffer || b.Stall && time.Now().UnixMilli()-s.stalled.Load() < 1000
	(&sinkSession{Sink: s, conn: c, in: bufio.NewReader(c), b: b}).run()
}

// sinkSession is one SMTP session.
type sinkSession struct {
	*Sink
	conn    net.Conn
	in      *bufio.Reader
	b       Behaviour
	version uint16
	rcpts   []string
	refused bool
}

func (s *sinkSession) say(line string) bool {
	_, err := io.WriteString(s.conn, line+"\r\n")
	return err == nil
}

func (s *sinkSession) run() {
	if s.b.Hang {
		io.Copy(io.Discard, s.in)
		return
	}
	s.say("220 sink.test ESMTP")
	for {
		if s.b.Stall && s.version != 0 {
			io.Copy(io.Discard, s.in)
			s.stalled.Store(time.Now().UnixMilli())
			return
		}
		line, err := s.in.ReadString('\n')
		if err != nil || s.b.DropAfter && s.version != 0 || !s.command(strings.TrimSpace(line)) {
			return
		}
	}
}

func (s *sinkSession) command(line string) (more bool) {
	verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
	switch verb {
	case "EHLO":
		if !s.b.NoOffer && s.version == 0 {
			return s.say("250-sink.test\r\n250-PIPELINING\r\n250 STARTTLS")
		}
		return s.say("250-sink.test\r\n250 PIPELINING")
	case "STARTTLS":
		return s.startTLS()
	case "MAIL":
		if s.rcpts, s.refused = nil, false; s.b.RefuseMail {
			return s.say("450 4.0.0 not now" + s.b.Text)
		}
	case "RCPT":
		if s.b.RefuseMail { // sent with MAIL, in one go
			return s.say("503 5.5.1 no MAIL")
		}
		if s.b.RefuseFirst && !s.refused {
			s.refused = true
			return s.say("450 4.0.0 not this one, not now" + s.b.Text)
		}
		_, to, _ := strings.Cut(line, "<")
		s.rcpts = append(s.rcpts, to[:max(strings.LastIndexByte(to, '>'), 0)])
	case "DATA":
		return s.data()
	case "QUIT":
		s.say("221 bye")
		return false
	}
	return s.say("250 2.0.0 ok")
}

func (s *sinkSession) startTLS() bool {
	switch {
	case s.b.Refuse:
		return s.say("454 4.7.0 TLS not available")
	case s.b.Break:
		s.say("220 go")
		time.Sleep(10 * time.Millisecond)
		s.say("this is no handshake, it is a man in the middle, and a long line of his at that")
		return false
	}
	s.say("220 go")
	config := s.config.Clone()
	config.MinVersion, config.MaxVersion = s.b.Min, s.b.Max
	if s.b.Min != 0 && s.b.Min < tls.VersionTLS12 {
		config.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}
	}
	c := tls.Server(s.conn, config)
	if c.Handshake() != nil {
		return false
	}
	s.conn, s.in, s.version = c, bufio.NewReader(c), c.ConnectionState().Version
	return true
}

func (s *sinkSession) data() bool {
	if len(s.rcpts) == 0 {
		return s.say("554 5.0.0 nobody")
	}
	s.say("354 go on")
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
	}
	s.notes.Lock()
	for _, to := range s.rcpts {
		s.received = append(s.received, Receipt{Recipient: to, Version: s.version, At: time.Now()})
	}
	s.notes.Unlock()
	s.rcpts = nil
	return s.say("250 2.0.0 ok" + s.b.Text)
}
