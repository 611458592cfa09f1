package peer

import (
	"errors"
	"fmt"
	"net/netip"

	"tlsratchet/tlsstate"
)

// ErrNoAddress: the address is missing or not an address: Postfix did not send
// what was requested. The TLS state of the session is then unknown,
// which is never plaintext: accept, learn nothing, count it and log it once.
var ErrNoAddress = errors.New("no client address")

// Client is what Postfix reports of an SMTP client, each field the milter macro of
// that name as it came; a macro that didn't come is empty.
type Client struct {
	Addr       string // {client_addr}
	Name       string // {client_name}
	Resolve    string // {client_resolve}: OK, FAIL, FORGED or TEMP; OK where a name that is not confirmed is "unknown"
	DaemonAddr string // {daemon_addr}
	DaemonPort string // {daemon_port}
}

// Peer is an SMTP client and its identities. All texts are clean.
type Peer struct {
	// IP is the client's address: IPv4 where it came mapped or translated into IPv6,
	// and without a zone.
	IP netip.Addr
	// Host is the confirmed client name as [Normalize] returns it; empty when
	// Postfix didn't confirm it or it is no host name.
	Host string
	// Address is always there; Domain and Listener are zero where nothing
	// proves them.
	Address, Domain, Listener tlsstate.Identity
	// Network, Mark and HostMark are sketches: of the client's network (/24 or /48), of
	// Address, and of Host if there is a Domain. They are stored and shared between
	// hosts, so what they are made of must not change.
	Network, Mark, HostMark tlsstate.Sketch
}

// Identify returns the identities that the facts prove. The only error is one
// that wraps [ErrNoAddress]; a name that is missing, unconfirmed or hostile
// only means that there is no domain.
func Identify(c Client) (Peer, error) {
	ip, ok := parseAddr(c.Addr)
	if !ok || ip.IsUnspecified() {
		return Peer{}, fmt.Errorf("%w: Postfix states %+.64q", ErrNoAddress, c.Addr)
	}
	p := Peer{IP: ip, Host: confirmed(c)}
	p.Address = tlsstate.Identity{Kind: tlsstate.Address, Name: addressName(ip, c.Addr)}
	p.Network, p.Mark = marks(ip)
	if d, ok := organisation(p.Host, ip); ok {
		p.Domain = tlsstate.Identity{Kind: tlsstate.Domain, Name: d}
		p.HostMark = tlsstate.HostMark(p.Host)
	}
	if l, ok := listenerName(c.DaemonPort); ok {
		p.Listener = tlsstate.Identity{Kind: tlsstate.Listener, Name: l}
	}
	return p, nil
}

// NetworkID returns the identity of the network that the client is in. It is
// not part of what Identify returns because few sessions ask for it.
func (p *Peer) NetworkID() tlsstate.Identity {
	if !p.IP.IsValid() {
		return tlsstate.Identity{}
	}
	return tlsstate.Identity{Kind: tlsstate.Network, Name: Network(p.IP).String()}
}

// confirmed returns the client name that Postfix confirmed, or "".
func confirmed(c Client) string {
	if c.Resolve != "OK" {
		return ""
	}
	host, err := Normalize(c.Name)
	if err != nil || host == "unknown" {
		return ""
	}
	return host
}
