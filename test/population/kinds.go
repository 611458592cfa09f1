package population

import "tlsratchet/tlsstate"

// Kind is one row of the table of peers: some that are alike.
type Kind struct {
	Name string
	// Peers is how many there are among 5,000, and PerDay how many messages one
	// sends on an average day. Spread is the sigma of a log-normal factor on
	// that: peers differ.
	Peers  int
	PerDay float64
	Spread float64
	// Every, if not 0, makes them send on one day in so many.
	Every int

	// Hosts is how many addresses a peer sends from, Networks in how many /24
	// they are (1 host: some share one), Renew what share is replaced in a
	// month. Dual gives each host an IPv6 address too.
	Hosts, Networks int
	Renew           float64
	Dual            bool
	// Corner is how many hosts more it has that never use TLS and send
	// CornerPerDay messages each, from some day on.
	Corner       int
	CornerPerDay float64

	// Name is how DNS confirms the hosts.
	Naming Naming
	// Under, if not 0, puts them under the names of so many providers.
	Under int

	// Level is the level of their encrypted sessions; of these the share Lower
	// comes one level lower.
	Level tlsstate.Level
	Lower float64
	// Clear is the share of messages in clear, ClearPeers of peers and
	// ClearHosts of hosts that never use TLS.
	Clear, ClearPeers, ClearHosts float64
	// Turn is what changes once, on some day.
	Turn Turn

	// Always says that they encrypt whatever they send: strip one, and it is an
	// attack that could be noticed.
	Always bool
	// Forwards says that they send in the name of others, so that SPF fails.
	Forwards bool
	// Junk says that nobody here wants their mail: it is never counted as
	// legitimate.
	Junk bool
}

// Naming is how DNS confirms a host's name.
type Naming uint8

const (
	// Own is a name under a domain of the peer's own, confirmed.
	Own Naming = iota
	// Unconfirmed is a name that forward and reverse DNS don't agree on.
	Unconfirmed
	// Embedded is a confirmed name that holds the address.
	Embedded
)

// Turn is what changes with a peer.
type Turn uint8

const (
	// Stays changes nothing.
	Stays Turn = iota
	// Upgrades starts in clear and turns TLS on for good.
	Upgrades
	// TurnsOff turns TLS off for good.
	TurnsOff
	// Moves goes to a new address in another network.
	Moves
	// MovesBare does that, and the new host has no TLS.
	MovesBare
	// Remembers stays in clear for one to five days after our own outage.
	Remembers
)

// kinds are the peers of the world.
var kinds = []Kind{
	{Name: "big provider", Peers: 12, PerDay: 250, Spread: 0.5, Hosts: 300, Networks: 40, Renew: 0.05, Level: tlsstate.TLS13, Lower: 0.3, Always: true},
	{Name: "big provider with a newsletter corner", Peers: 3, PerDay: 60, Spread: 0.3, Hosts: 60, Networks: 8, Corner: 4, CornerPerDay: 2, Level: tlsstate.TLS13, Lower: 0.1},
	{Name: "company with a few hosts", Peers: 160, PerDay: 5, Spread: 0.8, Hosts: 4, Networks: 2, Renew: 0.02, Level: tlsstate.TLS13, Lower: 0.1, Always: true},
	{Name: "small server", Peers: 1500, PerDay: 0.6, Spread: 1, Hosts: 1, Level: tlsstate.TLS13, Lower: 0.05, Always: true},
	{Name: "small server, IPv4 and IPv6", Peers: 400, PerDay: 0.6, Spread: 1, Hosts: 1, Dual: true, Level: tlsstate.TLS13, Always: true},
	{Name: "name not confirmed", Peers: 200, PerDay: 0.4, Spread: 1, Hosts: 1, Naming: Unconfirmed, Level: tlsstate.TLS13, Always: true},
	{Name: "forwarder", Peers: 60, PerDay: 1.5, Spread: 1, Hosts: 1, Level: tlsstate.TLS13, Always: true, Forwards: true},
	{Name: "TLS 1.0 only", Peers: 60, PerDay: 0.4, Spread: 1, Hosts: 1, Level: tlsstate.Weak, Always: true},
	{Name: "TLS 1.0 and 1.2 in turn", Peers: 30, PerDay: 0.5, Spread: 1, Hosts: 1, Level: tlsstate.TLS12, Lower: 0.2},
	{Name: "never TLS", Peers: 300, PerDay: 0.3, Spread: 1, Hosts: 1, Clear: 1},
	{Name: "one message in five in clear", Peers: 60, PerDay: 0.5, Spread: 1, Hosts: 1, Level: tlsstate.TLS13, Clear: 0.2},
	{Name: "one message in a hundred in clear", Peers: 40, PerDay: 0.5, Spread: 1, Hosts: 1, Level: tlsstate.TLS13, Clear: 0.01},
	{Name: "busy, one message in 500 in clear", Peers: 8, PerDay: 5, Spread: 0.5, Hosts: 4, Networks: 2, Level: tlsstate.TLS13, Clear: 0.002},
	{Name: "one host of four without TLS", Peers: 50, PerDay: 1, Spread: 1, Hosts: 4, Networks: 2, Level: tlsstate.TLS13, ClearHosts: 0.25},
	{Name: "newsletter host without TLS beside good ones", Peers: 90, PerDay: 0.6, Spread: 0.8, Hosts: 2, Networks: 1, Corner: 1, CornerPerDay: 0.15, Level: tlsstate.TLS13},
	{Name: "dial-up bot in clear", Peers: 1000, PerDay: 0.03, Spread: 0.5, Hosts: 1, Naming: Embedded, Clear: 1, Forwards: true, Junk: true},
	{Name: "cloud customer under the provider's name", Peers: 450, PerDay: 0.3, Spread: 1, Hosts: 1, Under: 8, Level: tlsstate.TLS13, ClearPeers: 0.25},
	{Name: "moves to a new address", Peers: 120, PerDay: 0.5, Spread: 0.8, Hosts: 1, Level: tlsstate.TLS13, Turn: Moves, Always: true},
	{Name: "moves and loses TLS", Peers: 8, PerDay: 0.5, Spread: 0.8, Hosts: 1, Level: tlsstate.TLS13, Turn: MovesBare},
	{Name: "upgrades to TLS", Peers: 90, PerDay: 0.5, Spread: 0.8, Hosts: 1, Level: tlsstate.TLS13, Turn: Upgrades},
	{Name: "turns TLS off for good", Peers: 12, PerDay: 0.5, Spread: 0.8, Hosts: 1, Level: tlsstate.TLS13, Turn: TurnsOff},
	{Name: "remembers our outage for days", Peers: 40, PerDay: 0.6, Spread: 0.8, Hosts: 1, Level: tlsstate.TLS13, Turn: Remembers},
	{Name: "monthly", Peers: 250, Every: 30, PerDay: 1.5, Hosts: 1, Level: tlsstate.TLS13},
	{Name: "quarterly", Peers: 150, Every: 91, PerDay: 1.5, Hosts: 1, Level: tlsstate.TLS13},
}
