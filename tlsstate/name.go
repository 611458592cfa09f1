package tlsstate

import "strings"

// Name is a name that DNS confirmed. With a day it is that of an address: the
// one that was confirmed last. Without, it is the one domain that was ever seen
// with TLS in a network, or [Several].
type Name struct {
	Day  Day
	Text string
}

// Several is the text of a [Name] that stands for more than one domain.
const Several = "*"

// maxName is the length of the longest text, in bytes: a record is of fixed
// size.
const maxName = 29

// LastName returns the name of an address that was confirmed on a day. Of a
// long name only the labels at its end are kept, but never fewer than those of
// its organisational domain: then there is none.
func LastName(day Day, host, domain string) Name {
	for len(host) > maxName {
		_, host, _ = strings.Cut(host, ".")
	}
	if len(host) < len(domain) || day == 0 {
		return Name{}
	}
	return Name{Day: day, Text: host}
}

// OnlyName returns the name of a network in which a domain was seen. A domain
// that is too long for a record counts as several.
func OnlyName(domain string) Name {
	if len(domain) > maxName {
		domain = Several
	}
	return Name{Text: domain}
}

// join is commutative, associative and idempotent: the later day wins, and on
// equal days the greater text. Without days two texts make [Several].
func (n Name) join(m Name) Name {
	switch {
	case n.Text == m.Text:
		return Name{Day: max(n.Day, m.Day), Text: n.Text}
	case n.Day != m.Day:
		if n.Day < m.Day {
			return m
		}
		return n
	case n.Text == "":
		return m
	case m.Text == "":
		return n
	case n.Day == 0:
		return Name{Text: Several}
	}
	return Name{Day: n.Day, Text: max(n.Text, m.Text)}
}

// oneOf drops what a history with a name has no room for. Only a domain has
// these marks, and it has no name: no history of one identity loses anything.
func (h *History) oneOf() {
	if h.Name.Text != "" {
		h.Networks, h.Named, h.HostNames, h.Senders = 0, 0, 0, 0
	}
}
