package population

import "tlsratchet/tlsstate"

// Destination is one row of the table of destinations: some that are alike.
type Destination struct {
	Name string
	// Count is how many there are in a world of 3,000, and PerDay, Spread and
	// Every how much we send to one, as in [Kind].
	Count          int
	PerDay, Spread float64
	Every          int

	// MX is how many hosts one has, tried in this order, and Nodes how many
	// addresses are behind each of them. Of these the last BareMX hosts and the
	// last BareNodes addresses of each host offer no TLS.
	MX, Nodes        int
	BareMX, BareNode int
	// Level is what they offer, and Clear the share of connections on which they
	// don't.
	Level tlsstate.Level
	Clear float64
	// Under, if not 0, puts them at so many hosting companies.
	Under int
	// Trouble befalls the first host so many times a year, for some hours.
	Trouble       Trouble
	TroublesAYear float64
	TroubleHours  float64
	// Turn is what changes once, on some day.
	Turn Turn
	// Always says that they take mail over TLS whenever they take it.
	Always bool
}

// Trouble is what is wrong with a host for some hours.
type Trouble uint8

const (
	// Down is a host that can't be reached.
	Down Trouble = iota
	// Handshakes is one that offers STARTTLS, and each handshake fails.
	Handshakes
	// NoOffer is one that forgot to offer STARTTLS.
	NoOffer
)

// destinations are those of the world.
var destinations = []Destination{
	{Name: "big provider", Count: 12, PerDay: 120, Spread: 0.5, MX: 5, Nodes: 4, Level: tlsstate.TLS13, TroublesAYear: 2, TroubleHours: 1, Always: true},
	{Name: "one MX", Count: 1200, PerDay: 0.4, Spread: 1, MX: 1, Level: tlsstate.TLS13, TroublesAYear: 3, TroubleHours: 4, Always: true},
	{Name: "several MX", Count: 500, PerDay: 1.5, Spread: 1, MX: 3, Level: tlsstate.TLS13, TroublesAYear: 3, TroubleHours: 4, Always: true},
	{Name: "TLS 1.2 only", Count: 200, PerDay: 0.5, Spread: 1, MX: 1, Level: tlsstate.TLS12, TroublesAYear: 3, TroubleHours: 4, Always: true},
	{Name: "customer of a hosting company", Count: 500, PerDay: 0.4, Spread: 1, MX: 2, Nodes: 2, Level: tlsstate.TLS13, Under: 8, TroublesAYear: 1, TroubleHours: 2, Always: true},
	{Name: "several MX, the last without TLS", Count: 40, PerDay: 0.5, Spread: 1, MX: 2, BareMX: 1, Level: tlsstate.TLS13, TroublesAYear: 3, TroubleHours: 4},
	{Name: "load-balanced, one node of four without TLS", Count: 15, PerDay: 0.5, Spread: 1, MX: 1, Nodes: 4, BareNode: 1, Level: tlsstate.TLS13},
	{Name: "one connection in a hundred in clear", Count: 20, PerDay: 0.5, Spread: 1, MX: 1, Level: tlsstate.TLS13, Clear: 0.01},
	{Name: "TLS 1.0 only", Count: 40, PerDay: 0.4, Spread: 1, MX: 1, Level: tlsstate.Weak, Always: true},
	{Name: "never TLS", Count: 120, PerDay: 0.3, Spread: 1, MX: 1},
	{Name: "failed handshakes for hours", Count: 30, PerDay: 0.5, Spread: 1, MX: 1, Level: tlsstate.TLS13, Trouble: Handshakes, TroublesAYear: 3, TroubleHours: 12},
	{Name: "no STARTTLS for hours after an update", Count: 30, PerDay: 0.5, Spread: 1, MX: 1, Level: tlsstate.TLS13, Trouble: NoOffer, TroublesAYear: 2, TroubleHours: 12},
	{Name: "moves to another provider", Count: 80, PerDay: 0.5, Spread: 0.8, MX: 2, Level: tlsstate.TLS13, Turn: Moves, Always: true},
	{Name: "moves to one without TLS", Count: 4, PerDay: 0.5, Spread: 0.8, MX: 1, Level: tlsstate.TLS13, Turn: MovesBare},
	{Name: "turns TLS on", Count: 60, PerDay: 0.5, Spread: 0.8, MX: 1, Level: tlsstate.TLS13, Turn: Upgrades},
	{Name: "turns TLS off for good", Count: 6, PerDay: 0.5, Spread: 0.8, MX: 1, Level: tlsstate.TLS13, Turn: TurnsOff},
	{Name: "written to each month", Count: 150, PerDay: 1.5, Every: 30, MX: 1, Level: tlsstate.TLS13},
}

// Wiretap is one row of the table of attacks on mail that we send.
type Wiretap struct {
	Name string
	// Count is how many there are in a world of 3,000 destinations, Hours how
	// long one lasts, Share what share of the connections it befalls.
	Count int
	Hours float64
	Share float64
	// Means is what the attacker does, and Target who is attacked.
	Means  Means
	Target Target
	// Hopeless is why it is no part of the aims.
	Hopeless string
}

// Means is what an attacker does to a connection.
type Means uint8

const (
	// Strip removes STARTTLS from the reply to EHLO, or answers it with 454.
	Strip Means = iota
	// StripFirst does that at the first MX host alone.
	StripFirst
	// Disturb lets the handshake fail.
	Disturb
	// Weaken leaves TLS 1.0.
	Weaken
)

var wiretaps = []Wiretap{
	{Name: "stripped for an hour", Count: 60, Hours: 1, Share: 1},
	{Name: "stripped for a day", Count: 120, Hours: 24, Share: 1},
	{Name: "stripped for a week", Count: 30, Hours: 7 * 24, Share: 1},
	{Name: "stripped for 30 days", Count: 15, Hours: 30 * 24, Share: 1},
	{Name: "one connection in 20 stripped, for 30 days", Count: 15, Hours: 30 * 24, Share: 0.05, Target: Busy},
	{Name: "the first MX stripped for a day", Count: 30, Hours: 24, Share: 1, Means: StripFirst},
	{Name: "handshakes disturbed for a day", Count: 40, Hours: 24, Share: 1, Means: Disturb},
	{Name: "everything stripped close to us, for six hours", Count: 1, Hours: 6, Share: 1, Target: Everybody},
	{Name: "weakened to TLS 1.0 for a day", Count: 20, Hours: 24, Share: 1, Means: Weaken, Hopeless: "`encrypt` accepts what `smtp_tls_mandatory_protocols` does; reported"},
	{Name: "stripped again, within weeks after a week of it", Count: 15, Hours: 24, Share: 1, Target: Worn, Hopeless: "three days in clear, each of them reported, have released the pin"},
	{Name: "stripped from the first message on", Count: 20, Hours: 7 * 24, Share: 1, Target: FirstContact, Hopeless: "nothing is known yet"},
	{Name: "a destination written to each month stripped", Count: 20, Hours: 48, Share: 1, Target: Rare, Hopeless: "its weeks pin `weak`, below `outbound.least`"},
	{Name: "one stripped that turned TLS on this year", Count: 15, Hours: 24, Share: 1, Target: Upgraded, Hopeless: "known for mail in clear until lately"},
}

// walls are when our own firewall strips all of our mail: for half a day, and for
// longer than Postfix keeps mail.
var walls = [...]span{{outageFrom, outageTo}, {104*day + 9*hour, 111*day + 9*hour}}

// wallMoments are just before each of them, and when each is over and forgotten.
var wallMoments = [...]int64{walls[0].from, walls[0].to + 30*hour, walls[1].from, walls[1].to + 30*hour}

// walled reports whether our own firewall strips everything.
func walled(at int64) bool { return walls[0].has(at) || walls[1].has(at) }
