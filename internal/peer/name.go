package peer

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// ErrName: a text is no host name. A client then has no domain identity; a row of
// a configuration is wrong.
var ErrName = errors.New("not a host name")

// RFC 1035 section 2.3.4; a U-label has at most 4 bytes a character.
const (
	maxHost  = 253
	maxLabel = 63
	maxRaw   = 4 * maxHost
)

// lookup maps U-labels and validates A-labels (RFC 5891 section 5, UTS #46).
// checkHost decides which ASCII a label may hold: underscores, and "--" in
// the third place (r3---sn-…), are seen in real names.
var lookup = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false),
	idna.StrictDomainName(false), idna.CheckHyphens(false))

// Normalize returns a host name as lower-case A-labels without a trailing dot:
// letters, digits, hyphens, underscores and dots, at most 253 bytes. It is
// idempotent, and copies nothing when only the dot has to go. The error wraps
// [ErrName] and shows at most 64 characters of the name, escaped.
func Normalize(name string) (string, error) {
	if len(name) > maxRaw {
		return "", fmt.Errorf("%w: %d bytes", ErrName, len(name))
	}
	host := strings.TrimSuffix(name, ".")
	if checkHost(host) == "" && !strings.Contains(host, "xn--") {
		return host, nil
	}
	host, err := toASCII(name)
	if err != nil {
		return "", fmt.Errorf("%w: %+.64q is no international name", ErrName, name)
	}
	host = strings.TrimSuffix(host, ".")
	if fault := checkHost(host); fault != "" {
		return "", fmt.Errorf("%w: %+.64q has %s", ErrName, name, fault)
	}
	return host, nil
}

// toASCII returns the name in lower case and A-labels.
func toASCII(name string) (string, error) {
	if !strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		name = strings.ToLower(name)
		if !strings.Contains(name, "xn--") {
			return name, nil
		}
	}
	host, err := lookup.ToASCII(name)
	if err != nil {
		return "", err
	}
	// Bytes that are no UTF-8 come out as a label that nothing else accepts.
	if again, err := lookup.ToASCII(host); err != nil || again != host {
		return "", errors.New("no stable form")
	}
	return host, nil
}

// checkHost returns what is wrong with a lower-case name, or "". The rules
// are those of RFC 1123 section 2.1 with underscores, as Postfix has them.
func checkHost(host string) (fault string) {
	if len(host) > maxHost {
		return "more than 253 bytes"
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		switch last = label; {
		case label == "" || len(label) > maxLabel:
			return "a label that is empty or longer than 63 bytes"
		case label[0] == '-' || label[len(label)-1] == '-':
			return "a hyphen at the edge of a label"
		case strings.ContainsFunc(label, notHost):
			return "a character that no host name has"
		}
	}
	if !strings.ContainsFunc(last, func(r rune) bool { return r < '0' || r > '9' }) {
		return "a number for its last label"
	}
	return ""
}

func notHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
