package status

import (
	"time"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/tlsstate"
)

// How many rows the overview shows of a list that may be long.
const (
	maxOpen  = 8
	maxToday = 25
)

type overview struct {
	Picture picture
	// Today and Days are the shares of mail that came encrypted.
	Today, Days share

	Open []incident.Incident
	// AllOpen is how many incidents are open, OpenMore how many of them are not
	// in Open.
	AllOpen, OpenMore int

	Downgrades     []DowngradeEvent
	DowngradesMore int

	Plain   []PlainPeer
	Counted time.Time

	Breaker breakerView
	Check   checkView
}

// share is how much of the mail came encrypted.
type share struct{ Encrypted, All uint64 }

// Percent is in words.
func (s share) Percent() string { return percent(s.Encrypted, s.All) }

func (p Page) overview() overview {
	now := p.Now()
	today := tlsstate.DayOf(now)
	tally, census := p.Tally(today), p.Census()
	o := overview{
		Picture: newPicture(tally, today), Days: encrypted(tally),
		Plain: census.Plain, Counted: census.At,
		Breaker: newBreakerView(p.Breaker()),
		Check:   newCheckView(p.SelfCheck(), p.MX, now),
	}
	if n := len(tally); n > 0 && tally[n-1].Day == today {
		o.Today = encrypted(tally[n-1:])
	}
	open := p.Open()
	o.AllOpen = len(open)
	o.Open, o.OpenMore = first(open, maxOpen)
	o.Downgrades, o.DowngradesMore = first(p.Downgrades(today), maxToday)
	return o
}

func (p Page) incidents() []incident.Incident { return p.Open() }

// first returns the first most of a list, and how many there are more.
func first[T any](list []T, most int) ([]T, int) {
	n := min(len(list), most)
	return list[:n], len(list) - n
}

func encrypted(days incident.Tally) (s share) {
	for i := range days {
		for l := tlsstate.Plaintext; l <= tlsstate.TLS13; l++ {
			n := days[i].Counts.Level(l)
			s.All += n
			if l > tlsstate.Plaintext {
				s.Encrypted += n
			}
		}
	}
	return s
}

// breakerView is the circuit breaker in words.
type breakerView struct {
	Word, Means string
	// Mark is good, fair or bad.
	Mark  string
	State ratchet.BreakerState
}

func newBreakerView(s ratchet.BreakerState) breakerView {
	v := breakerView{Word: s.Holds().String(), State: s}
	switch s.Holds() {
	case ratchet.Armed:
		v.Mark, v.Means = "good", "Downgrades get the action of the policy."
	case ratchet.Softened:
		v.Mark, v.Means = "fair", "Many peers came downgraded together while our own TLS works: somebody may strip close to us. Nothing is refused for good, only for now."
	default:
		v.Mark, v.Means = "bad", "Many peers came downgraded together, and our own TLS is broken. Mail gets a header at most until it is mended."
	}
	switch {
	case s.Override != nil:
		v.Means = "An operator set this; it would be " + s.Answer.String() + "."
	case s.Repaired():
		v.Means = "Our own TLS was broken, and works again. Until it is quiet nothing is refused for good, only for now."
	}
	return v
}

// checkView is the self-check in words.
type checkView struct {
	Word, Means, Mark string
	Result            selfcheck.Result
	MX                string
	DaysLeft          int
}

func newCheckView(r selfcheck.Result, mx string, now time.Time) checkView {
	v := checkView{Result: r, MX: mx, DaysLeft: r.DaysLeft(now)}
	switch problem := r.Problem(now); {
	case mx == "":
		v.Word, v.Mark, v.Means = "off", "none", "Our own STARTTLS is not tried."
	case problem == selfcheck.OK:
		v.Word, v.Mark, v.Means = "works", "good", "STARTTLS works as a peer sees it."
	case problem == selfcheck.CertificateExpires:
		v.Word, v.Mark, v.Means = "certificate ends soon", "fair", "Renew the certificate and reload Postfix."
	case problem == selfcheck.CertificateInvalid:
		v.Word, v.Mark, v.Means = "certificate not valid", "bad", "Peers that look at it stay away, or come in clear. Renew it and reload Postfix."
	case problem == selfcheck.HandshakeFails:
		v.Word, v.Mark, v.Means = "handshake fails", "bad", "STARTTLS is offered and then fails: see Postfix's log."
	case problem == selfcheck.NotOffered:
		v.Word, v.Mark, v.Means = "STARTTLS not offered", "bad", "Every peer comes in clear: see smtpd_tls_security_level and the certificate files."
	default:
		v.Word, v.Mark, v.Means = "no answer", "none", "It says nothing of TLS."
	}
	return v
}
