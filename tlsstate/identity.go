package tlsstate

import (
	"fmt"
	"strings"
)

// Kind is how an identity was proven.
type Kind uint8

// The kinds of identity. Each has a proof of its own; see package peer.
const (
	// Address is proven by TCP: one IPv4 or IPv6 address.
	Address Kind = iota + 1
	// Domain is proven by DNS: the organisational domain of the client name
	// that Postfix confirmed forward and back.
	Domain
	// Sender is proven by SPF (RFC 7208).
	Sender
	// Listener is our own port. Its history shows whether STARTTLS is offered
	// there at all.
	Listener
	// Destination is the next-hop of our own mail, as Postfix asks for its
	// policy: a domain.
	Destination
	// MX is a host that takes mail for destinations. It is evidence only.
	MX
	// Network is the /24 of an IPv4 address, the /48 of an IPv6 one. It is no
	// peer: its history shows whose addresses are there, see [History.Hosts].
	Network
)

var kindNames = [...]string{
	Address: "address", Domain: "domain", Sender: "sender", Listener: "listener", Destination: "destination", MX: "mx", Network: "network",
}

// LastKind is the last of the kinds; the first is [Address].
const LastKind = Network

// String returns the kind in lower case, or unknown(n) for one that isn't known.
func (k Kind) String() string { return word(k, kindNames[:]) }

// Identity is a proven name of a peer, or of a listener of ours. The zero
// value means that there is none.
type Identity struct {
	Kind Kind
	// Name is clean: lower case, A-labels, no trailing dot, only 0x21 to 0x7E.
	Name string
}

// String returns kind and name, as in "address:192.0.2.10".
func (id Identity) String() string { return id.Kind.String() + ":" + id.Name }

// IsZero reports whether there is no identity.
func (id Identity) IsZero() bool { return id == Identity{} }

// Clone keeps a short name from holding on to the long text that it was cut from.
func (id Identity) Clone() Identity {
	id.Name = strings.Clone(id.Name)
	return id
}

// MaxName is the length, in bytes, of the longest name of an identity: a
// sender domain and a client domain of 253 each, with what joins them.
const MaxName = 512

// ParseIdentity is the inverse of [Identity.String]. It checks the form of the
// name, not its proof.
func ParseIdentity(s string) (Identity, error) {
	kind, name, ok := strings.Cut(s, ":")
	if !ok {
		return Identity{}, fmt.Errorf("identity %q: want kind:name", s)
	}
	if err := checkName(name); err != nil {
		return Identity{}, fmt.Errorf("identity %q: %w", s, err)
	}
	k, err := parseWord[Kind]("kind", kind, kindNames[Address:])
	if err != nil {
		return Identity{}, fmt.Errorf("identity %q: %w", s, err)
	}
	return Identity{Kind: k + Address, Name: name}, nil
}

func checkName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("name of %d bytes, want 1 to %d", len(name), MaxName)
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' {
			return fmt.Errorf("byte %#02x in the name", c)
		}
	}
	return nil
}
