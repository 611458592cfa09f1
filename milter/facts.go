package milter

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	gomilter "github.com/emersion/go-milter"

	"tlsratchet/peer"
	"tlsratchet/ratchet"
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

// facts reads the session from the macros at MAIL. Postfix sends names in
// braces, without them if they are one letter long.
func facts(macros map[string]string, now time.Time, s *ratchet.Session) error {
	p, err := peer.Identify(peer.Client{
		Addr:       macros["{client_addr}"],
		Name:       macros["{client_name}"],
		Resolve:    macros["{client_resolve}"],
		DaemonAddr: macros["{daemon_addr}"],
		DaemonPort: macros["{daemon_port}"],
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoMacros, err)
	}
	version, cipher := macros["{tls_version}"], macros["{cipher}"]
	bits, _ := strconv.Atoi(macros["{cipher_bits}"]) // told, never compared
	*s = ratchet.Session{
		At: now,
		Security: tlsstate.Security{
			Level:       tlsstate.LevelOf(version, cipher),
			Protocol:    version,
			Cipher:      cipher,
			Bits:        bits,
			Certificate: macros["{cert_subject}"] != "",
		},
		Peer:          p,
		Authenticated: macros["{auth_type}"] != "" || macros["{auth_authen}"] != "",
	}
	return nil
}
