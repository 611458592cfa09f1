package milter

import (
	"net"
	"net/textproto"
	"strings"

	gomilter "github.com/emersion/go-milter"
)

// The replies without a text. noAnswer is for a stage negotiated as no-reply.
var (
	accept, goOn gomilter.Response = gomilter.RespAccept, gomilter.RespContinue
	noAnswer     gomilter.Response
)

// replyCode is SMFIR_REPLYCODE: a text of our own. go-milter doesn't take it
// for the end of the message, which at RCPT it is not.
const replyCode = 'y'

// refusal is the answer with a reply. % is doubled, as the MTA takes the text for
// a format.
func refusal(reply string) gomilter.Response {
	return gomilter.NewResponseStr(replyCode, strings.ReplaceAll(reply, "%", "%%"))
}

// unused are the stages that are not asked for. An MTA that sends them all the
// same gets the answer that continues the message.
type unused struct{}

// Connect is not asked for.
func (unused) Connect(string, string, uint16, net.IP, *gomilter.Modifier) (gomilter.Response, error) {
	return goOn, nil
}

// Helo is not asked for.
func (unused) Helo(string, *gomilter.Modifier) (gomilter.Response, error) { return goOn, nil }

// Headers is not asked for.
func (unused) Headers(textproto.MIMEHeader, *gomilter.Modifier) (gomilter.Response, error) {
	return goOn, nil
}

// BodyChunk is not asked for.
func (unused) BodyChunk([]byte, *gomilter.Modifier) (gomilter.Response, error) { return goOn, nil }
