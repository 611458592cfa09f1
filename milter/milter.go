package milter

import (
	"strings"
	"sync/atomic"

	gomilter "github.com/emersion/go-milter"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
)

// What we ask of Postfix in the negotiation.
const (
	// Actions are the changes that we may make to a message.
	Actions = gomilter.OptAddHeader | gomilter.OptChangeHeader | gomilter.OptQuarantine | gomilter.OptSetSymList
	// Protocol leaves out every stage that we have no use for, and the answers
	// to headers.
	Protocol = gomilter.OptNoConnect | gomilter.OptNoHelo | gomilter.OptNoData | gomilter.OptNoUnknown |
		gomilter.OptNoEOH | gomilter.OptNoBody | gomilter.OptNoHeaderReply
)

// Milter makes the backends of connections.
type Milter struct {
	*inbound.Door
	seen func(client *inbound.Client, port string)
	// hasFacts: some message came with a client address.
	hasFacts atomic.Bool
}

// New returns a milter. seen, if not nil, is called with the client and its
// port ("" where Postfix states none) of each message. It is on the mail path.
func New(deps inbound.Deps, options inbound.Options, seen func(client *inbound.Client, port string)) *Milter {
	return &Milter{Door: inbound.New(deps, options), seen: seen}
}

// Backend returns the backend for a new connection.
func (m *Milter) Backend() gomilter.Milter { return &session{m: m} }

// KeepHeader reports whether a header of a message is of interest.
func KeepHeader(name []byte) bool { return strings.EqualFold(string(name), words.HeaderName) }

// unknown counts a message without a client address. Where no message had one
// yet, the cause is plain.
func (m *Milter) unknown(f *ratchet.Facts, err error) {
	cause := ""
	if !m.hasFacts.Load() && f.Client.Addr == "" {
		cause = "Postfix does not send the macros that were asked for at MAIL; nothing is judged or learned until it does; check that the milter's client is Postfix and that no proxy in between removes {client_addr}"
	}
	m.Unknown(err, cause)
}

// guard turns a panic in a callback into the given answer: it would close the
// connection, and Postfix's default action decide.
func (m *Milter) guard(instead gomilter.Response, resp *gomilter.Response) {
	if p := recover(); p != nil {
		m.Panicked("panic in a milter callback; message accepted", p)
		*resp = instead
	}
}
