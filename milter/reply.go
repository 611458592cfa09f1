package milter

import (
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
