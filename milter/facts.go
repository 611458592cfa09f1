package milter

import (
	"errors"
	"fmt"
	"strconv"

	gomilter "github.com/emersion/go-milter"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// ErrNoMacros: Postfix did not send what we asked for. The TLS state is
// unknown, which is never plaintext.
var ErrNoMacros = errors.New("the macros asked for did not come")

// symbols are the macros that we ask for, by stage. All facts come with each
// MAIL, so that no state is carried from one message to the next, and main.cf
// needs no milter_mail_macros.
func symbols() map[gomilter.Stage][]string {
	return map[gomilter.Stage][]string{
		gomilter.StageMailFrom: {
			"{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}",
			"{client_addr}", "{client_name}", "{client_ptr}", "{client_resolve}",
			"{auth_type}", "{auth_authen}", "{daemon_addr}", "{daemon_port}",
		},
		gomilter.StageEOM: {"i"},
	}
}

// said is what Postfix says of the session at MAIL, as it says it.
type said struct {
	client                    peer.Client
	version, cipher, bits     string
	subject, authType, authen string
}

// hear picks it from the macros. Postfix sends names in braces, without them
// if they are one letter long.
func hear(macros map[string]string) said {
	return said{
		client: peer.Client{
			Addr:       macros["{client_addr}"],
			Name:       macros["{client_name}"],
			Resolve:    macros["{client_resolve}"],
			DaemonAddr: macros["{daemon_addr}"],
			DaemonPort: macros["{daemon_port}"],
		},
		version: macros["{tls_version}"], cipher: macros["{cipher}"], bits: macros["{cipher_bits}"],
		subject: macros["{cert_subject}"], authType: macros["{auth_type}"], authen: macros["{auth_authen}"],
	}
}

// facts reads the session from it. The message's own, At and From, are not in it.
func (s *said) facts() (ratchet.Session, error) {
	p, err := peer.Identify(s.client)
	if err != nil {
		return ratchet.Session{}, fmt.Errorf("%w: %w", ErrNoMacros, err)
	}
	bits, _ := strconv.Atoi(s.bits) // told, never compared
	return ratchet.Session{
		Security: tlsstate.Security{
			Level:       tlsstate.LevelOf(s.version, s.cipher),
			Protocol:    s.version,
			Cipher:      s.cipher,
			Bits:        bits,
			Certificate: s.subject != "",
		},
		Peer:          p,
		Authenticated: s.authType != "" || s.authen != "",
	}, nil
}
