package population

import "tlsratchet/tlsstate"

// alarms are what people are sent. An incident opens at the first downgrade of
// an identity after 24 quiet hours. An alert gathers those of one domain, waits
// two minutes in case the breaker trips, and then leaves it to that.
// Both count only if more than a header came of it: the rest is off by default.
type alarms struct {
	incidents, folded     map[tlsstate.Identity]open
	opened, wronglyOpened int
	alerts                []alert
	tripped               bool
	wrongBy               map[*Kind]int
}

// patience is how long an alert waits for the breaker.
const patience = 2 * minute

// open is an incident, or an alert, that gathers what follows.
type open struct {
	last    int64
	alarmed bool
}

// alert is one that was sent.
type alert struct {
	at    int64
	wrong bool
	kind  *Kind
}

// downgrade is one session below a pin.
type downgrade struct {
	at     int64
	kind   *Kind
	name   tlsstate.Identity
	answer *answer
	// wrong says that no attack is behind it, outage that our own TLS is.
	wrong, outage bool
}

func newAlarms() alarms {
	return alarms{incidents: map[tlsstate.Identity]open{}, folded: map[tlsstate.Identity]open{}, wrongBy: map[*Kind]int{}}
}

func (c *alarms) alarm(d *downgrade) {
	full := d.answer.action > tlsstate.Header
	if gather(c.incidents, d.answer.identity, d.at, full) {
		c.opened++
		c.wronglyOpened += one(d.wrong)
	}
	if d.answer.tripped {
		c.trip(d)
		return
	}
	c.tripped = false
	if gather(c.folded, d.name, d.at, full) {
		c.alerts = append(c.alerts, alert{at: d.at, wrong: d.wrong, kind: d.kind})
	}
}

// trip reports that the breaker tripped, in place of what was about to be sent.
func (c *alarms) trip(d *downgrade) {
	if c.tripped {
		return
	}
	c.tripped = true
	for n := len(c.alerts); n > 0 && d.at-c.alerts[n-1].at < patience; n-- {
		c.alerts = c.alerts[:n-1]
	}
	if gather(c.folded, tlsstate.Identity{}, d.at, true) {
		c.alerts = append(c.alerts, alert{at: d.at, wrong: d.wrong && !d.outage, kind: d.kind})
	}
}

// gather adds a downgrade to what is open, and reports whether it is the first
// to be sent.
func gather(all map[tlsstate.Identity]open, id tlsstate.Identity, at int64, full bool) bool {
	i, known := all[id]
	if !known || at-i.last > day {
		i = open{}
	}
	first := full && !i.alarmed
	i.last, i.alarmed = at, i.alarmed || full
	all[id] = i
	return first
}

// wrongAlerts counts those that no attack was behind.
func (c *alarms) wrongAlerts() (n int) {
	clear(c.wrongBy)
	for _, a := range c.alerts {
		if a.wrong {
			c.wrongBy[a.kind]++
			n++
		}
	}
	return n
}
