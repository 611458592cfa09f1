package resolver

import (
	"fmt"
	"net/netip"
	"strings"
)

// Type is what is asked of a name.
type Type uint8

// The types that SPF asks for.
const (
	TypeA Type = iota + 1
	TypeAAAA
	TypeMX
	TypePTR
	TypeTXT
)

// RFC 1035 section 2.3.4, in text and without the last dot.
const (
	maxName  = 253
	maxLabel = 63
)

// Question is what DNS is asked. It is made by [Ask] and [Reverse], so that
// equal questions are equal values and every name can be asked.
type Question struct {
	// Name is in lower case, without a trailing dot; of a PTR question it is
	// the address.
	Name string
	Type Type
}

// Ask returns the question for a name as an SPF record has it. One that is too
// long loses labels on its left (RFC 7208 section 7.3). The error wraps
// [ErrNotFound]: nothing can have a name that is malformed, or that holds
// anything but 0x21 to 0x7E (RFC 8616 section 4: such names match nothing).
func Ask(name string, t Type) (Question, error) {
	name = strings.TrimSuffix(name, ".")
	for len(name) > maxName {
		_, name, _ = strings.Cut(name, ".")
	}
	if !canAsk(name) {
		return Question{}, fmt.Errorf("%w: %+.64q is no name", ErrNotFound, name)
	}
	return Question{strings.ToLower(name), t}, nil
}

func canAsk(name string) bool {
	if len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel {
			return false
		}
	}
	return true
}

// Reverse returns the question for the names of an address. The address must be
// valid.
func Reverse(ip netip.Addr) Question { return Question{ip.Unmap().String(), TypePTR} }

// Answer is what DNS has of the type that was asked for, through aliases. It is
// shared: don't change it.
type Answer struct {
	// Addrs are the addresses of A and AAAA.
	Addrs []netip.Addr
	// Names are those of MX and PTR, the first 11, without a trailing dot, as
	// DNS has them: a peer chooses them.
	Names []string
	// Texts are the SPF records among the TXT, those that begin with v=spf1:
	// the first two, for there must be one. A name may have TXT and none.
	Texts []string
}

// size is about what an answer takes in memory, in bytes.
func (a *Answer) size() int {
	n := 24 * len(a.Addrs)
	for _, list := range [][]string{a.Names, a.Texts} {
		for _, s := range list {
			n += 16 + len(s)
		}
	}
	return n
}
