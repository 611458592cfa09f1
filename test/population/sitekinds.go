package population

// pool is one row of the table of providers: addresses, networks and messages a
// day at a family's server. Each message comes from any of the addresses. Six
// states that a third of them are of IPv6.
type pool struct {
	domain          string
	addresses, nets int
	perDay          float64
	six             bool
	// senders is how many domains send by it at a family's server, one of them
	// the share first of its mail; dedicated is the share of the others that
	// have an address to themselves. Without any, each host sends in the name of
	// the provider.
	senders          int
	first, dedicated float64
}

var pools = []pool{
	{"mailgoogle.example", 1500, 40, 22, true, 100, 0.5, 0},
	{"outlookers.example", 4000, 120, 19, true, 150, 0.3, 0},
	{"cloudses.example", 3000, 100, 9, false, 80, 0.1, 0.1},
	{"yahooligans.example", 800, 40, 6, false, 0, 0, 0},
	{"sendgrids.example", 2500, 60, 6, false, 100, 0, 0.25},
	{"icloudy.example", 200, 12, 4, false, 10, 0.9, 0},
	{"mailchimps.example", 600, 20, 4, false, 0, 0, 0},
	{"freemail.example", 40, 4, 5, true, 10, 0.9, 0},
}

// habit is one row of the table of the other peers.
type habit struct {
	name   string
	peers  int
	perDay float64
	// hosts are in so many networks.
	hosts, nets int
	// clear is the share of messages in clear, bare the share of peers that
	// never use TLS.
	clear, bare float64
	// hoster puts them under the names and into the networks of hosters, six
	// into one /64 of theirs.
	hoster, six bool
	// unnamed have no name that DNS confirms.
	unnamed bool
	// corner has one more host that never uses TLS, in the same network.
	corner bool
	// broken is how many days lie between two spells of hours without TLS.
	broken float64
	// bots is how many messages a day bots send from behind its address.
	bots float64
	// off turns TLS off for good, remembers is in clear for days after an
	// outage of ours.
	off, remembers bool
	// small is a peer with one address that always encrypts.
	small bool
}

var habits = []habit{
	{name: "small server", peers: 200, perDay: 0.15, hosts: 1, nets: 1, small: true},
	{name: "busier small server", peers: 20, perDay: 0.6, hosts: 1, nets: 1, small: true},
	{name: "company", peers: 20, perDay: 0.5, hosts: 4, nets: 2},
	{name: "no name", peers: 15, perDay: 0.1, hosts: 1, nets: 1, unnamed: true, small: true},
	{name: "monthly", peers: 60, perDay: 0.04, hosts: 1, nets: 1},
	{name: "never TLS", peers: 15, perDay: 0.15, hosts: 1, nets: 1, bare: 1},
	{name: "hoster's customer", peers: 60, perDay: 0.08, hosts: 1, nets: 1, bare: 0.25, hoster: true},
	{name: "hoster's customer in one /64", peers: 12, perDay: 0.08, hosts: 1, nets: 1, bare: 0.3, hoster: true, six: true},
	{name: "newsletter host without TLS beside good ones", peers: 4, perDay: 0.4, hosts: 2, nets: 1, corner: true},
	{name: "one message in five in clear", peers: 3, perDay: 0.2, hosts: 1, nets: 1, clear: 0.2},
	{name: "one message in a hundred in clear", peers: 4, perDay: 0.3, hosts: 2, nets: 1, clear: 0.01},
	{name: "TLS broken for hours", peers: 6, perDay: 0.5, hosts: 1, nets: 1, broken: 40},
	{name: "bots behind a server's address", peers: 2, perDay: 0.4, hosts: 1, nets: 1, bots: 0.01},
	{name: "turns TLS off for good", peers: 1, perDay: 0.15, hosts: 1, nets: 1, off: true},
	{name: "remembers our outage", peers: 5, perDay: 0.3, hosts: 1, nets: 1, remembers: true},
}

// The outage of ours at a site, and how long some remember it.
const (
	siteOutage   = 25*day + 9*hour
	siteOutageTo = siteOutage + 12*hour
	rememberedTo = siteOutageTo + 3*day
)
