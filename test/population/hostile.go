package population

import (
	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// attackerKind is what attackers' own hosts are like: whatever helps them.
var attackerKind = Kind{Name: "attacker", Hosts: 1, Networks: 1, Level: tlsstate.TLS13, Junk: true}

// addHostile adds what attackers send themselves: poisoners, openers of
// sessions, names to trip the breaker with, floods.
func (w *World) addHostile() {
	var victims []int
	for i := range w.peers {
		if w.peers[i].kind.Clear == 1 && !w.peers[i].kind.Junk {
			victims = append(victims, i)
		}
	}
	for range 5 {
		w.poison(victims, 0)
		w.poison(victims, noMessage)
	}
	for a := range w.attacks {
		if x := &w.attacks[a]; x.row.Names > 0 {
			w.trick(x.row.Names, x.from)
		}
	}
	for range w.o.Peers / 2 { // a flood of strangers within an hour
		i := w.addPeer(&attackerKind)
		at := floodDay*day + 3*hour + int64(w.peers[i].rng.IntN(hour))
		w.attackerSends(i, i, at, tlsstate.Level(i%2)*tlsstate.TLS13, 0)
	}
	for range w.o.Peers / 20 { // and one of addresses that earn their pins
		i := w.addPeer(&attackerKind)
		for d := range int64(12) {
			w.attackerSends(i, i, (40+d)*day+int64(w.peers[i].rng.IntN(day)), tlsstate.TLS13, spfPass)
		}
	}
}

// poison sends over TLS in the names of others who have none: the MAIL FROM,
// and a host name that forward DNS denies.
func (w *World) poison(victims []int, bits uint8) {
	i := w.addPeer(&attackerKind)
	p := &w.peers[i]
	h := &w.hosts[p.hosts[0]]
	h.named = identify(peer.Client{
		Addr: h.named.IP.String(), Name: "mx1." + w.peers[victims[0]].domain, Resolve: "FORGED",
		DaemonAddr: listenerAddr, DaemonPort: listenerPort,
	})
	for d := int64(poisonFrom); d < int64(w.o.Days); d++ {
		for range 10 {
			victim := victims[p.rng.IntN(len(victims))]
			w.attackerSends(i, victim, d*day+clock(p.rng), tlsstate.TLS13, bits)
		}
	}
}

// trick lets names of the attacker's own downgrade together within the five
// minutes before he strips somebody. They have earned their pins for weeks.
func (w *World) trick(names int, at int64) {
	for n := range names {
		i := w.addPeer(&attackerKind)
		p := &w.peers[i]
		for d := at/day - 40; d < at/day; d++ {
			w.attackerSends(i, i, d*day+clock(p.rng), tlsstate.TLS13, spfPass)
		}
		w.attackerSends(i, i, at-5*minute+int64(20*n), tlsstate.Plaintext, spfPass)
	}
}

// attackerSends adds a session of an attacker's own. He is quiet while nothing
// comes encrypted anyway.
func (w *World) attackerSends(i, sender int, at int64, level tlsstate.Level, bits uint8) {
	if inOutage(at) || at >= everyFrom && at < everyTo {
		return
	}
	w.mail = append(w.mail, message{
		at: at, host: int32(w.peers[i].hosts[0]), sender: int32(sender), level: level, bits: bits | hostile | junk,
	})
}
