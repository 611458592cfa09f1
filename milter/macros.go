package milter

import (
	"bytes"
	"strings"

	"tlsratchet/internal/ratchet"
)

// MailMacros returns the macros to ask for at MAIL (SMFIF_SETSYMLIST). All facts
// come with each MAIL, so no state is carried from one message to the next, and
// main.cf needs no milter_mail_macros.
func MailMacros() []string {
	return []string{
		"{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}", "{verify}",
		"{client_addr}", "{client_port}", "{client_name}", "{client_ptr}", "{client_resolve}",
		"{auth_type}", "{auth_authen}", "{daemon_addr}", "{daemon_port}",
	}
}

// eachMacro calls f for the macros in a packet's data, which begins with the
// command that they are for. Postfix sends names in braces, without them if they
// are one letter long.
func eachMacro(data []byte, f func(name, value []byte)) {
	for data = data[1:]; len(data) > 0; {
		var name, value []byte
		name, data, _ = bytes.Cut(data, []byte{0})
		value, data, _ = bytes.Cut(data, []byte{0})
		f(name, value)
	}
}

// parseMacros returns the facts in the macros of MAIL, and the client's port.
func parseMacros(data []byte) (f ratchet.Facts, port string) {
	verify := ""
	eachMacro(data, func(name, value []byte) {
		var to *string
		switch string(name) {
		case "{client_addr}":
			to = &f.Client.Addr
		case "{client_port}":
			to = &port
		case "{client_name}":
			to = &f.Client.Name
		case "{client_resolve}":
			to = &f.Client.Resolve
		case "{daemon_addr}":
			to = &f.Client.DaemonAddr
		case "{daemon_port}":
			to = &f.Client.DaemonPort
		case "{tls_version}":
			to = &f.Version
		case "{cipher}":
			to = &f.Cipher
		case "{cipher_bits}":
			to = &f.Bits
		case "{cert_subject}":
			to = &f.Subject
		case "{cert_issuer}":
			to = &f.Issuer
		case "{verify}":
			to = &verify
		case "{auth_type}":
			to = &f.AuthType
		case "{auth_authen}":
			to = &f.AuthUser
		default:
			return
		}
		*to = string(value)
	})
	// Postfix names a certificate that it trusts; Sendmail any, and the result here.
	if verify != "" && verify != "OK" {
		f.Subject, f.Issuer = "", ""
	}
	return f, port
}

// address returns the address in the argument of MAIL or RCPT, as Postfix takes
// it: without brackets, and without the comments and the white space that RFC 5322
// section 3.2.2 allows in header fields.
func address(data []byte) string {
	arg, _, _ := bytes.Cut(data, []byte{0})
	if bytes.ContainsAny(arg, "( \t") {
		arg = withoutComments(arg)
	}
	return strings.Trim(string(arg), "<>")
}

// withoutComments drops comments, which may be nested, and white space outside
// of quoted strings.
func withoutComments(arg []byte) (kept []byte) {
	depth, quoted := 0, false
	for i := 0; i < len(arg); i++ {
		from := i
		switch c := arg[i]; {
		case c == '\\' && i+1 < len(arg):
			i++
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
			continue
		case c == ' ' || c == '\t':
			continue
		}
		if depth == 0 {
			kept = append(kept, arg[from:i+1]...)
		}
	}
	return kept
}
