package milter

import (
	"reflect"

	gomilter "github.com/emersion/go-milter"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
)

// Symbols returns the macros to ask for, by stage (SMFIF_SETSYMLIST). All facts
// come with each MAIL, so no state is carried from one message to the next, and
// main.cf needs no milter_mail_macros. An empty list would stand for Postfix's own
// list, whose macros it looks up even where the stage is left out.
func Symbols() map[gomilter.Stage][]string {
	none := []string{" "}
	return map[gomilter.Stage][]string{
		gomilter.StageConnect: none,
		gomilter.StageHelo:    none,
		gomilter.StageMailFrom: {
			"{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}", "{verify}",
			"{client_addr}", "{client_port}", "{client_name}", "{client_resolve}",
			"{auth_type}", "{auth_authen}", "{daemon_addr}", "{daemon_port}",
		},
		gomilter.StageRcptTo: none,
		gomilter.StageData:   none,
		gomilter.StageEOM:    {"i"},
		gomilter.StageEOH:    none,
	}
}

// parseMacros returns the facts in the macros of MAIL. Postfix sends names in
// braces, without them if they are one letter long.
func parseMacros(macros map[string]string) ratchet.Facts {
	f := ratchet.Facts{
		Client: peer.Client{
			Addr:       macros["{client_addr}"],
			Name:       macros["{client_name}"],
			Resolve:    macros["{client_resolve}"],
			DaemonAddr: macros["{daemon_addr}"],
			DaemonPort: macros["{daemon_port}"],
		},
		Version: macros["{tls_version}"], Cipher: macros["{cipher}"], Bits: macros["{cipher_bits}"],
		Subject: macros["{cert_subject}"], Issuer: macros["{cert_issuer}"],
		AuthType: macros["{auth_type}"], AuthUser: macros["{auth_authen}"],
	}
	// Postfix names a certificate that it trusts; Sendmail any, and the result here.
	if verify := macros["{verify}"]; verify != "" && verify != "OK" {
		f.Subject, f.Issuer = "", ""
	}
	return f
}

// one reports whether two are the same map, which go-milter never changes: it makes a
// new one of macros that come, and package wire drops what Postfix only repeats.
func one(a, b map[string]string) bool {
	return a != nil && reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}
