package population

import "tlsratchet/tlsstate"

// Attack is one row of the table of attacks: some that are alike.
type Attack struct {
	Name string
	// Count is how many there are in a world of 5,000 peers.
	Count int
	// Hours is how long one lasts, Share what share of the messages it befalls.
	Hours float64
	Share float64
	// To is the level that it leaves.
	To tlsstate.Level
	// DNS says that our DNS is broken too for these sessions.
	DNS bool
	// Target is who is attacked.
	Target Target
	// Names is how many names of his own the attacker lets downgrade together
	// just before.
	Names int
	// Hopeless is why no memory could notice it, or ours doesn't mean to: it
	// is shown, and no part of the aims.
	Hopeless string
}

// Target is which peers an attack is on.
type Target uint8

const (
	// Seasoned is a peer that always encrypts and has sent on at least
	// seasonedDays days before.
	Seasoned Target = iota
	// Busy is one that has sent at least 200 messages, too.
	Busy
	// NewHost is a new address of a big provider.
	NewHost
	// Everybody is all peers at once.
	Everybody
	// FirstContact is a peer's first message.
	FirstContact
	// Rare is a monthly sender after its third month.
	Rare
	// Upgraded is a peer that turned TLS on at least ten days before.
	Upgraded
	// Partly is a peer that often comes in clear.
	Partly
	// Worn is a peer that was attacked for a week or more, within the 64 days
	// after it.
	Worn
	// Tricked is a seasoned peer while an attacker trips the breaker with names
	// of his own.
	Tricked
)

// seasonedDays is how many days with mail make a peer one that any memory may
// be expected to know.
const seasonedDays = 8

var attacks = []Attack{
	{Name: "stripped for an hour", Count: 60, Hours: 1, Share: 1},
	{Name: "stripped for a day", Count: 120, Hours: 24, Share: 1},
	{Name: "stripped for a week", Count: 30, Hours: 7 * 24, Share: 1},
	{Name: "stripped for 30 days", Count: 15, Hours: 30 * 24, Share: 1},
	{Name: "one message in 100 stripped, for 30 days", Count: 15, Hours: 30 * 24, Share: 0.01, Target: Busy},
	{Name: "stripped for a day, our DNS broken too", Count: 40, Hours: 24, Share: 1, DNS: true},
	{Name: "weakened to TLS 1.0 for a day", Count: 20, Hours: 24, Share: 1, To: tlsstate.Weak},
	{Name: "stripped at a new address of a big provider", Count: 30, Hours: 24, Share: 1, Target: NewHost},
	{Name: "stripped while ten names of the attacker's own downgrade", Count: 1, Hours: 1, Share: 1, Target: Tricked, Names: 10},
	{Name: "stripped while twenty of them trip the breaker", Count: 1, Hours: 1, Share: 1, Target: Tricked, Names: 20},
	{Name: "everything stripped close to us, for six hours", Count: 1, Hours: 6, Share: 1, Target: Everybody},
	{Name: "stripped again, within weeks after a week of it", Count: 15, Hours: 24, Share: 1, Target: Worn, Hopeless: "six days in clear, each of them reported, have worn the pin out"},
	{Name: "stripped from the first contact on", Count: 20, Hours: 7 * 24, Share: 1, Target: FirstContact, Hopeless: "nothing is known yet"},
	{Name: "a partly encrypted sender stripped for a day", Count: 10, Hours: 24, Share: 1, Target: Partly, Hopeless: "it comes in clear by itself"},
	{Name: "a monthly sender stripped after three mails", Count: 20, Hours: 48, Share: 1, Target: Rare, Hopeless: "three mails make a pin only where they span six weeks"},
	{Name: "a peer stripped that turned TLS on this year", Count: 15, Hours: 24, Share: 1, Target: Upgraded, Hopeless: "known for plaintext until lately"},
}

// Happenings of the world, in days from its start.
const (
	outageDay   = 70 // our own TLS is broken, 9:00 to 21:00
	outageFrom  = outageDay*day + 9*hour
	outageTo    = outageDay*day + 21*hour
	gapDay      = 50 // nothing is seen by us for a day,
	gapFrom     = gapDay * day
	gapTo       = gapFrom + day
	gap2From    = 77 * day // and for six hours
	gap2To      = gap2From + 6*hour
	everyDay    = 95 // everything is stripped, 10:00 to 16:00
	everyFrom   = everyDay*day + 10*hour
	everyTo     = everyFrom + 6*hour
	trickFrom   = 80
	trickTo     = 90
	attacksFrom = 30
	floodDay    = 60
	poisonFrom  = 10
)

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
)
