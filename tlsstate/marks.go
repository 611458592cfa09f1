package tlsstate

// Marks count what was seen under a domain. Each is joined by OR. In the
// history of a network Addresses and Bare hold domains instead, and the others
// nothing.
type Marks struct {
	// Networks and Addresses are those that were seen with TLS.
	Networks, Addresses Sketch
	// Bare are the addresses that came in clear on [BareDays] days or more.
	Bare Sketch
	// Named are the addresses seen with TLS that the SPF record of the domain
	// names. In the history of a sender they are the first ones that proved it.
	Named Sketch
	// HostNames are the confirmed client names that were seen with TLS.
	HostNames Sketch
	// Senders shows whether senders move between the addresses.
	Senders Senders
}

// BareDays is on how many days an address must have come in clear before it
// counts against its domain and its network: one message that somebody
// stripped must not silence them.
const BareDays = 2

func (m *Marks) join(n *Marks) {
	m.Networks |= n.Networks
	m.Addresses |= n.Addresses
	m.Bare |= n.Bare
	m.Named |= n.Named
	m.HostNames |= n.HostNames
	m.Senders |= n.Senders
}

// The least that a domain must have shown before its pin leads to the full
// action against an address that was never seen.
const (
	poolAddresses   = 8
	broadNetworks   = 3
	broadAddresses  = 20
	broadBareOf     = 20 // fewer than one in so many
	namedAddresses  = 3
	namedOf         = 10 // all but one in so many
	fewHostNames    = 4
	hostNameMarks   = 2
	partlyAddresses = 2
	partlyOf        = 10
)

// Broad reports whether so many addresses, in several networks, encrypt that
// the next one surely does.
func (m *Marks) Broad() bool {
	addresses := m.Addresses.Estimate()
	return m.Networks.Estimate() >= broadNetworks && addresses >= broadAddresses &&
		m.Bare.Estimate()*broadBareOf < addresses && !m.Senders.Stay()
}

// pool reports whether a domain has enough addresses for one of its networks
// to say something of the next address in it.
func (m *Marks) pool() bool {
	addresses := m.Addresses.Estimate()
	return addresses >= poolAddresses && m.Bare.Estimate()*partlyOf < addresses && !m.Senders.Stay()
}

// named reports whether the domain's SPF record names its hosts, so that they
// are its own. Of so many that the sketch is full nobody knows how many it names.
func (m *Marks) named() bool {
	named, addresses := m.Named.Estimate(), m.Addresses.Estimate()
	return named >= namedAddresses && (addresses-named)*namedOf <= addresses && ^m.Addresses != 0
}

// HostMark returns the sketch of a client name, not empty. It has two marks: with
// one, a host without TLS was taken for another host of its domain too often.
func HostMark(host string) Sketch {
	return Mark([]byte(host)) | Mark([]byte(host[:len(host)-1]))
}

// knows reports whether a client name was seen with TLS, in a domain of so few
// that the sketch hardly takes one for another.
func (m *Marks) knows(host Sketch) bool {
	return host != 0 && m.HostNames&host == host && m.HostNames.Estimate() <= hostNameMarks*fewHostNames
}

// partly reports whether so many of the addresses came in clear that the
// domain as a whole is only partly encrypted. What has no addresses is one peer
// and needs no such share.
func (m *Marks) partly() bool {
	if m.Addresses == 0 || m.Bare == 0 { // as nearly always: no estimates
		return m.Addresses == 0
	}
	bare := m.Bare.Estimate()
	return bare >= partlyAddresses && bare*partlyOf >= m.Addresses.Estimate()
}

// Hosts reports whether a network, of which this is the history, is known for
// hosts of a domain that encrypt: at least one came with TLS, and none is known
// for plaintext. domain is the [Mark] of its name.
func (h *History) Hosts(domain Sketch) bool {
	return h.Addresses&domain != 0 && h.Bare&domain == 0 && h.Name.Text != Several
}
