package replay

import (
	"sort"

	"tlsratchet/internal/maillog"
	"tlsratchet/tlsstate"
)

// offers is what is known of STARTTLS at each listener, moment by moment. It
// comes first, so that peers can be judged at the same time.
type offers map[*maillog.Listener][]offer

// offer is a listener's history from a moment on, in seconds.
type offer struct {
	from    int64
	history tlsstate.History
}

// newOffers learns of all listeners. The places are in the order of time.
func newOffers(cs *cells, order []uint32, who []known, rules *tlsstate.Rules) offers {
	o := make(offers)
	for _, place := range order {
		c := cs.at(place)
		o.learn(c, &cs.kinds[c.kind], &who[c.client], rules)
	}
	return o
}

// learn learns of a listener as the ratchet does: from sessions over TLS of
// peers that are judged.
func (o offers) learn(c *cell, k *kind, p *known, rules *tlsstate.Rules) {
	level := k.security.Level
	if level == tlsstate.Plaintext || k.authenticated || k.unknown || !p.ok {
		return
	}
	before := o.last(k.listener)
	if before.Last == c.day && before.Seen[level]&1 != 0 {
		return // as nearly always: the same was seen today
	}
	rule := rules.For(p.IP, p.Host)
	if rule.Exempt {
		return
	}
	_, after := tlsstate.Judge(before, tlsstate.Observation{Day: c.day, Security: tlsstate.Security{Level: level}}, rule)
	if after != before {
		o[k.listener] = append(o[k.listener], offer{c.first, after})
	}
}

func (o offers) last(l *maillog.Listener) tlsstate.History {
	if all := o[l]; len(all) > 0 {
		return all[len(all)-1].history
	}
	return tlsstate.History{}
}

// at returns what was known of a listener at a moment.
func (o offers) at(l *maillog.Listener, at int64) tlsstate.History {
	all := o[l]
	n := sort.Search(len(all), func(i int) bool { return all[i].from > at })
	if n == 0 {
		return tlsstate.History{}
	}
	return all[n-1].history
}

// all joins the histories of all listeners.
func (o offers) all() (h tlsstate.History) {
	for l := range o {
		h = tlsstate.Merge(h, o.last(l))
	}
	return h
}
