package milter

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"tlsratchet/milter/wire"
)

// The commands by their names in mfdef.h. SMFIC_UNKNOWN is not one: it is
// negotiated not to come.
const (
	cmdAbort  = 'A' // SMFIC_ABORT
	cmdMacro  = 'D' // SMFIC_MACRO
	cmdEOM    = 'E' // SMFIC_BODYEOB
	cmdHeader = 'L' // SMFIC_HEADER
	cmdMail   = 'M' // SMFIC_MAIL
	cmdOptNeg = 'O' // SMFIC_OPTNEG
	cmdQuit   = 'Q' // SMFIC_QUIT
	cmdQuitNC = 'K' // SMFIC_QUIT_NC: the client asks to go on with another session, which we don't
	cmdRcpt   = 'R' // SMFIC_RCPT
	// unused are those that are not asked for: SMFIC_CONNECT, HELO, DATA, EOH and
	// BODY. An MTA that sends them all the same gets the reply that continues.
	unused = "CHTNB"
	known  = "ADEKLMOQR" + unused
)

// The replies, and the changes that may come before the last one.
const (
	accept     = 'a' // SMFIR_ACCEPT
	goOn       = 'c' // SMFIR_CONTINUE
	refusal    = 'y' // SMFIR_REPLYCODE: with a text of our own
	insert     = 'i' // SMFIR_INSHEADER
	change     = 'm' // SMFIR_CHGHEADER
	quarantine = 'q' // SMFIR_QUARANTINE
)

// What we ask of Postfix in the negotiation.
const (
	// Actions are the changes that we may make to a message: SMFIF_ADDHDRS,
	// CHGHDRS, QUARANTINE and SETSYMLIST.
	Actions = 0x001 | 0x010 | 0x020 | 0x100
	// Protocol leaves out every stage that we have no use for, and the answers to
	// headers: SMFIP_NOCONNECT, NOHELO, NOBODY, NOEOH, NR_HDR, NOUNKNOWN and NODATA.
	Protocol = 0x001 | 0x002 | 0x010 | 0x040 | 0x080 | 0x100 | 0x200

	version  = 2
	stageEOM = 5 // SMFIM_EOM
	// stageMail is SMFIM_ENVFROM.
	stageMail = 2
)

// A packet is a length of four bytes, big endian, that counts the command byte
// and the data, and then these.
const (
	lengthSize = 4
	headSize   = lengthSize + 1
	// optNegLength is that of the first packet of every client: the command
	// and three numbers (version, actions, protocol).
	optNegLength = 1 + 3*4
	// maxLength is that of Postfix's largest packet, a piece of a body.
	maxLength = 64 << 10
	// bufferSize holds what Postfix writes at a time.
	bufferSize = 4 << 10
)

// packet appends a packet.
func packet(to []byte, code byte, data ...string) []byte {
	begin := len(to)
	to = append(to, 0, 0, 0, 0, code)
	for _, d := range data {
		to = append(to, d...)
	}
	binary.BigEndian.PutUint32(to[begin:], uint32(len(to)-begin-lengthSize))
	return to
}

func number(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

// negotiation is the packet that answers a client's first one: what we want of
// it, whatever it offers.
var negotiation = string(packet(nil, cmdOptNeg, number(version), number(Actions), number(Protocol),
	number(stageMail), strings.Join(MailMacros(), " "), "\x00", number(stageEOM), "i\x00"))

// next returns the next packet. Its data is valid until the next call; of a large
// one of no use to us it is only the beginning.
func (s *session) next() (cmd byte, data []byte, err error) {
	length, cmd, err := s.head()
	if err != nil {
		return 0, nil, err
	}
	in, size := s.ask.In, lengthSize+length
	if size > in.Size() && (cmd == cmdMacro || cmd == cmdMail || cmd == cmdRcpt) {
		data = make([]byte, size)
		_, err = io.ReadFull(in, data)
	} else {
		s.left = size
		data, err = in.Peek(min(size, in.Size()))
	}
	if err != nil {
		return 0, nil, err
	}
	return cmd, data[headSize:], nil
}

// head waits for the next packet, and believes it only if it can be one.
func (s *session) head() (length int, cmd byte, err error) {
	in := s.ask.In
	if _, err = in.Discard(s.left); err != nil {
		return 0, 0, err
	}
	s.left = 0
	if _, err = s.ask.Await(); err != nil {
		return 0, 0, err
	}
	b, err := in.Peek(lengthSize)
	if err != nil {
		return 0, 0, err
	}
	length = int(binary.BigEndian.Uint32(b))
	switch {
	case !s.greeted && (length < optNegLength || length > maxLength):
		return 0, 0, refused(&s.notMilter, "not a milter client")
	case length == 0:
		return 0, 0, refused(&s.badFrame, "empty packet")
	case length > maxLength:
		return 0, 0, refused(&s.frameTooBig, "packet too big")
	}
	if b, err = in.Peek(headSize); err != nil {
		return 0, 0, err
	}
	switch cmd = b[lengthSize]; {
	case !s.greeted && cmd != cmdOptNeg:
		return 0, 0, refused(&s.notMilter, "not a milter client")
	case strings.IndexByte(known, cmd) < 0:
		return 0, 0, refused(&s.badFrame, "unknown command")
	}
	return length, cmd, nil
}

// refused counts a connection that is closed for what came on it.
func refused(count *atomic.Uint64, why string) error {
	count.Add(1)
	return fmt.Errorf("%w: %s", wire.ErrRefused, why)
}
