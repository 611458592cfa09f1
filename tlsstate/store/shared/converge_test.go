package shared_test

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tlsratchet/test/chaos/servers"
	"tlsratchet/test/storetest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store/shared"
)

const peersOfAll = 3

// Any interleaving of sessions, operators' acts, days and partitions over three
// hosts ends in one memory, which lacks nothing that any of them saw.
func TestHostsConverge(t *testing.T) {
	onBoth(t, func(t *testing.T, s *servers.Server) {
		w := newWorld(t, s)
		rapid.Check(t, func(rt *rapid.T) {
			w.begin()
			for range rapid.IntRange(1, 40).Draw(rt, "acts") {
				w.act(rt)
			}
			w.meet()
			w.judge(rt)
		})
	})
}

// world is three hosts, the networks to their server, and what all of them saw.
type world struct {
	t      *testing.T
	server *servers.Server
	hosts  [3]*host
	nets   [3]*servers.Proxy
	cut    [3]bool
	day    atomic.Uint32
	run    int
	parts  map[tlsstate.Identity][]tlsstate.History // what came of each act
}

func newWorld(t *testing.T, s *servers.Server) *world {
	w := &world{t: t, server: s}
	w.day.Store(uint32(today))
	o := shared.Options{Prefix: prefix(), Timeout: patience, Heartbeat: 20 * time.Millisecond, MaxChanged: 2}
	for i := range w.hosts {
		w.nets[i] = proxy(t, s)
		o.Now = func() time.Time { return w.today(i).Time() }
		w.hosts[i] = newHost(t, w.nets[i].URL(), o).up()
	}
	return w
}

// today is the day by a host's own clock: the last one's is a day ahead.
func (w *world) today(host int) tlsstate.Day {
	return tlsstate.Day(w.day.Load()) + tlsstate.Day(host/2)
}

func (w *world) peer(i int) tlsstate.Identity {
	return tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprintf("p%d.run%d.example", i, w.run)}
}

func (w *world) begin() {
	w.run++
	w.day.Store(uint32(today))
	w.parts = map[tlsstate.Identity][]tlsstate.History{}
}

// act does one random thing to all, or at one of the hosts.
func (w *world) act(rt *rapid.T) {
	i := rapid.IntRange(0, 2).Draw(rt, "network")
	switch rapid.SampledFrom([]string{"live", "live", "live", "live", "live", "live", "cut", "heal", "days pass", "days apart"}).Draw(rt, "what") {
	case "live":
		w.live(rt)
	case "cut":
		w.split(i, true)
	case "heal":
		w.split(i, false)
	case "days pass":
		w.day.Add(rapid.SampledFrom([]uint32{1, 2, 7, 70}).Draw(rt, "days"))
	case "days apart": // one is cut off for days, on which all go on
		w.split(i, true)
		for range rapid.IntRange(1, 3).Draw(rt, "days") {
			w.day.Add(1)
			for range rapid.IntRange(0, 4).Draw(rt, "acts of the day") {
				w.live(rt)
			}
		}
		w.split(i, false)
	}
}

func (w *world) split(i int, cut bool) {
	if w.cut[i] = cut; cut {
		w.nets[i].Partition()
	} else {
		w.nets[i].Heal()
	}
}

// live does what hosts and their operators do of a day.
func (w *world) live(rt *rapid.T) {
	i := rapid.IntRange(0, 2).Draw(rt, "host")
	h, id := w.hosts[i], w.peer(rapid.IntRange(0, peersOfAll-1).Draw(rt, "peer"))
	day := w.today(i) - tlsstate.Day(rapid.IntRange(0, 12).Draw(rt, "days ago"))
	grow := func(was tlsstate.History) tlsstate.History {
		return storetest.Sees(was, day, tlsstate.Level(rapid.SampledFrom([]int{2, 2, 2, 3, 1, 0}).Draw(rt, "level")))
	}
	switch rapid.SampledFrom([]string{"session", "session", "session", "session", "ask", "send", "unpin", "forget"}).Draw(rt, "act") {
	case "ask":
		if !w.cut[i] {
			h.Refresh(0, id)
		}
		return
	case "send":
		if !w.cut[i] {
			h.settled()
		}
		return
	case "unpin":
		grow = func(was tlsstate.History) tlsstate.History { return was.Unpin(day) }
	case "forget":
		grow = func(was tlsstate.History) tlsstate.History { return was.Forget(day) }
	}
	was := h.knows(id)
	next := tlsstate.Merge(was, grow(was))
	if _, err := h.Update(id, netip.Addr{}, w.today(i), func(tlsstate.History) tlsstate.History { return next }); err != nil {
		rt.Fatal(err)
	}
	w.parts[id] = append(w.parts[id], next)
}

// meet mends the networks and has every host send and ask.
func (w *world) meet() {
	for i, h := range w.hosts {
		w.split(i, false)
		h.eventually("the server", func() bool { s := h.Sharing(); return s.Answering && s.Taking })
	}
	for range 2 {
		for _, h := range w.hosts {
			h.settled()
			for p := range peersOfAll {
				h.Refresh(0, w.peer(p))
			}
			h.settled()
		}
	}
}

// judge compares the hosts with each other, with the server, and with what they
// saw.
func (w *world) judge(rt *rapid.T) {
	for id, parts := range w.parts {
		var want tlsstate.History
		for _, h := range parts {
			want = tlsstate.Merge(want, h)
		}
		got := w.hosts[0].knows(id)
		if tlsstate.Merge(got, want) != got {
			rt.Fatalf("%s: something was lost, want - got +:\n%s", id, cmp.Diff(want, got))
		}
		if formless(got) != formless(want) {
			rt.Fatalf("%s: something came from nowhere, want - got +:\n%s", id, cmp.Diff(want, got))
		}
		for _, h := range w.hosts[1:] {
			if other := h.knows(id); other != got {
				rt.Fatalf("%s: the hosts differ:\n%s", id, cmp.Diff(got, other))
			}
		}
		record, err := w.server.Do("GET", w.hosts[0].prefix+id.String())
		if there, bad := tlsstate.Decode([]byte(record)); err != nil || bad != nil || there != got {
			rt.Fatalf("%s: the server differs: %v, %v\n%s", id, err, bad, cmp.Diff(got, there))
		}
	}
}

// formless is a history without the days that pins formed: those the joined
// record may have more of.
func formless(h tlsstate.History) tlsstate.History {
	for i := range h.Pins {
		h.Pins[i].Formed = 0
	}
	h.CertPin.Formed = 0
	return h
}
