package wire

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/emersion/go-milter"
)

// A milter packet is a length of four bytes, big endian, that counts the
// command byte and the data, and then these.
const (
	lengthSize = 4
	headSize   = lengthSize + 1
	// optNegLength is that of the first packet of every client: the command
	// and three numbers (version, actions, protocol).
	optNegLength = 1 + 3*4
	// protocolVersion is the one that go-milter states.
	protocolVersion = 2
)

// The commands by their names in mfdef.h.
const (
	cmdAbort  = 'A' // SMFIC_ABORT
	cmdBody   = 'B' // SMFIC_BODY
	cmdConn   = 'C' // SMFIC_CONNECT
	cmdMacro  = 'D' // SMFIC_MACRO
	cmdEOB    = 'E' // SMFIC_BODYEOB
	cmdHelo   = 'H' // SMFIC_HELO
	cmdQuitNC = 'K' // SMFIC_QUIT_NC
	cmdHeader = 'L' // SMFIC_HEADER
	cmdMail   = 'M' // SMFIC_MAIL
	cmdEOH    = 'N' // SMFIC_EOH
	cmdOptNeg = 'O' // SMFIC_OPTNEG
	cmdQuit   = 'Q' // SMFIC_QUIT
	cmdRcpt   = 'R' // SMFIC_RCPT
	cmdData   = 'T' // SMFIC_DATA
)

// Replies that can end a message.
const (
	replyAccept   = 'a' // SMFIR_ACCEPT
	replyContinue = 'c' // SMFIR_CONTINUE
	replyDiscard  = 'd' // SMFIR_DISCARD
	replyReject   = 'r' // SMFIR_REJECT
	replyTempFail = 't' // SMFIR_TEMPFAIL
	replyCode     = 'y' // SMFIR_REPLYCODE
)

// known are the commands that a client may send. SMFIC_UNKNOWN is not one: the
// server always asks not to be sent it.
const known = "ABCDEHKLMNOQRT"

// negotiation returns the packet that answers a client's first one: what we want
// of it, whatever it offers. The server answers with it in place of go-milter,
// which would make it anew for each connection.
func negotiation(c Config) []byte {
	data := []byte{cmdOptNeg}
	for _, n := range []uint32{protocolVersion, uint32(c.Actions), uint32(c.Protocol)} {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	for _, stage := range slices.Sorted(maps.Keys(c.SymList)) {
		data = binary.BigEndian.AppendUint32(data, uint32(stage))
		data = append(append(data, strings.Join(c.SymList[stage], " ")...), 0)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}

// leavesOut returns the protocol flag by which a milter asks not to be sent a
// command, or 0. Postfix sends the command's macros all the same.
func leavesOut(cmd byte) milter.OptProtocol {
	switch cmd {
	case cmdConn:
		return milter.OptNoConnect
	case cmdHelo:
		return milter.OptNoHelo
	case cmdData:
		return milter.OptNoData
	case cmdEOH:
		return milter.OptNoEOH
	case cmdBody:
		return milter.OptNoBody
	}
	return 0
}

// inMessage reports whether the session is in the middle of a message after this
// command, given whether it was before.
func inMessage(cmd byte, before bool) bool {
	switch cmd {
	case cmdMail, cmdRcpt, cmdData, cmdHeader, cmdEOH, cmdBody, cmdEOB:
		return true
	case cmdAbort:
		return false
	}
	return before
}

// endsMessage reports whether this reply to this command is the last one
// about a message. A refused recipient ends nothing.
func endsMessage(cmd, reply byte) bool {
	switch reply {
	case replyAccept, replyDiscard:
		return true
	case replyReject, replyTempFail, replyCode:
		return cmd != cmdRcpt
	case replyContinue:
		return cmd == cmdEOB
	}
	return false
}
