package tlsstate

import (
	"fmt"
	"slices"
	"strings"
)

// Level is how well one session was encrypted. The four levels are ordered: a
// downgrade is a comparison with <, never one of cipher names or bit counts.
type Level uint8

// The levels, from worst to best.
const (
	// Plaintext is a session in clear, or with a suite that encrypts nothing (RFC
	// 9325 section 4.1).
	Plaintext Level = iota
	// Weak is SSL, TLS 1.0 and 1.1 (RFC 8996), and TLS 1.2 with a static key
	// exchange, that is without forward secrecy (RFC 9325 section 4.1).
	Weak
	// TLS12 is TLS 1.2 with forward secrecy.
	TLS12
	// TLS13 is TLS 1.3 and whatever is newer.
	TLS13
)

var levelNames = [...]string{Plaintext: "none", Weak: "weak", TLS12: "TLSv1.2", TLS13: "TLSv1.3"}

// String returns the level as headers, logs and the config spell it.
func (l Level) String() string { return word(l, levelNames[:]) }

// ParseLevel is the inverse of [Level.String], in any case. The error says
// what would have been right; the caller shows it to whoever wrote s.
func ParseLevel(s string) (Level, error) {
	for l, name := range levelNames {
		if strings.EqualFold(s, name) {
			return Level(l), nil
		}
	}
	return 0, fmt.Errorf("unknown level %q: use none, weak, TLSv1.2 or TLSv1.3", s)
}

// LevelOf ranks a session by Postfix's {tls_version} and {cipher}. An empty
// version is a session in clear. A version we don't know ranks as the newest
// known, so that tomorrow's TLS is no downgrade.
func LevelOf(version, cipher string) Level {
	if version == "" || strings.Contains(cipher, "NULL") || cipher == "TLS_SHA256_SHA256" || cipher == "TLS_SHA384_SHA384" { // RFC 9150
		return Plaintext
	}
	switch version {
	case "SSLv2", "SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1":
		return Weak
	case "TLSv1.2":
		if staticKeyExchange(cipher) {
			return Weak
		}
		return TLS12
	default:
		return TLS13
	}
}

// staticPrefixes begin the OpenSSL and IANA names of the TLS 1.2 suites whose
// key exchange is static. Anonymous suites (ADH, AECDH) are ephemeral, and a
// name that isn't known is given the benefit of the doubt.
var staticPrefixes = []string{
	"AES128-", "AES256-", "CAMELLIA128-", "CAMELLIA256-", "ARIA128-", "ARIA256-",
	"DES-", "RC2-", "RC4-", "SEED-", "IDEA-", "EXP-",
	"ECDH-RSA-", "ECDH-ECDSA-", "DH-RSA-", "DH-DSS-", "PSK-", "RSA-PSK-",
	"TLS_RSA_", "TLS_ECDH_RSA_", "TLS_ECDH_ECDSA_", "TLS_DH_RSA_", "TLS_DH_DSS_", "TLS_PSK_",
}

func staticKeyExchange(cipher string) bool {
	return slices.ContainsFunc(staticPrefixes, func(p string) bool { return strings.HasPrefix(cipher, p) })
}
