package population

import (
	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// known is what a site has seen of an address: on how many days TLS.
type known struct {
	days int
	last int64
}

// note remembers that an address came with TLS.
func (w *siteWorld) note(address string, at int64) {
	k := w.tlsDays[address]
	if k == nil {
		k = &known{last: -1}
		w.tlsDays[address] = k
	}
	if d := at / day; d != k.last {
		k.days, k.last = k.days+1, d
	}
}

// probe asks what the rule would do if the message were stripped.
func (w *siteWorld) probe(l *letter, x transaction) {
	d := l.at / day
	small := !l.from.provider && l.from.habit.small
	if !l.from.provider && l.from.habit.clear > 0 || l.at < 10*day || w.rng.Float64()*w.site.Peers*w.site.Rate > 10 {
		return
	}
	w.f.count(d, w.full(x), l.from.provider)
	if l.from.provider && d >= 30 && w.rng.IntN(8) == 0 {
		x.Peer.Domain, x.Peer.Host = tlsstate.Identity{}, ""
		x.dns = true
		w.f.NoDNS.add(w.full(x))
	}
	if k := w.tlsDays[x.Peer.Address.Name]; small && k != nil && (k.days > 5 || k.days == 5 && k.last < d) {
		w.f.Small.add(w.full(x))
		w.probeMoved(l, x)
	}
}

// probeMoved asks what the rule would do if a small server had moved to another
// network, under its name, and were stripped there.
func (w *siteWorld) probeMoved(l *letter, x transaction) {
	if l.from.habit.unnamed {
		return
	}
	x.Peer = identify(peer.Client{Addr: "203.0.113.9", Name: x.Peer.Host, Resolve: "OK", DaemonPort: listenerPort})
	w.f.Moved.add(w.full(x))
}

// full reports whether the session would be refused in clear.
func (w *siteWorld) full(x transaction) bool {
	x.Level = tlsstate.Plaintext
	x.Security = tlsstate.Security{}
	return w.rule.probe(&x)
}

// count adds a probe of some day.
func (f *SiteFigures) count(d int64, full, provider bool) {
	if d >= 28 && d < 32 {
		f.Day30.add(full)
	}
	if d >= 58 && d < 62 {
		f.Day60.add(full)
	}
	if provider && d >= 30 {
		f.Providers.add(full)
	}
}
