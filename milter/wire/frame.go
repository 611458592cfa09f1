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

// known are the commands that a client may send. SMFIC_UNKNOWN is not one: the
// server always asks not to be sent it.
const known = "ABCDEHKLMNOQRT"

// negotiation returns the packet that answers a client's first one: what we want
// of it, whatever it offers. The server answers with it in place of go-milter,
// which would make it anew for each connection.
func negotiation(c Config) []byte {
	data := []byte{byte(milter.CodeOptNeg)}
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
func leavesOut(cmd milter.Code) milter.OptProtocol {
	switch cmd {
	case milter.CodeConn:
		return milter.OptNoConnect
	case milter.CodeHelo:
		return milter.OptNoHelo
	case milter.CodeData:
		return milter.OptNoData
	case milter.CodeEOH:
		return milter.OptNoEOH
	case milter.CodeBody:
		return milter.OptNoBody
	}
	return 0
}

// inMessage reports whether the session is in the middle of a message after this
// command, given whether it was before.
func inMessage(cmd milter.Code, before bool) bool {
	switch cmd {
	case milter.CodeMail, milter.CodeRcpt, milter.CodeData, milter.CodeHeader, milter.CodeEOH, milter.CodeBody, milter.CodeEOB:
		return true
	case milter.CodeAbort:
		return false
	}
	return before
}

// endsMessage reports whether this reply to this command is the last one
// about a message. A refused recipient ends nothing.
func endsMessage(cmd milter.Code, reply milter.ActionCode) bool {
	switch reply {
	case milter.ActAccept, milter.ActDiscard:
		return true
	case milter.ActReject, milter.ActTempFail, milter.ActReplyCode:
		return cmd != milter.CodeRcpt
	case milter.ActContinue:
		return cmd == milter.CodeEOB
	}
	return false
}
