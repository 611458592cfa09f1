package replay

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tlsratchet/maillog"
	"tlsratchet/tlsstate"
)

// client draws one of a few names at one of a few addresses.
func client(t *rapid.T) *maillog.Client {
	return &maillog.Client{
		Name: rapid.SampledFrom([]string{"unknown", "mx.a.example", "mx2.a.example", "mx.b.example", "mx.c.example", "?"}).Draw(t, "name"),
		Addr: rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2", "198.51.100.1", "none"}).Draw(t, "addr"),
	}
}

// No identity is with two workers, every client is with one, and a client is
// looked up once.
func TestIdentify(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		clients := rapid.SliceOfN(rapid.Custom(client), 1, 20).Draw(r, "clients")
		workers := rapid.IntRange(1, 4).Draw(r, "workers")
		var cells []*cell
		for range rapid.IntRange(1, 40).Draw(r, "cells") {
			cells = append(cells, &cell{key: key{client: rapid.SampledFrom(clients).Draw(r, "client")}})
		}
		who := identify(cells, workers)
		at := make(map[tlsstate.Identity]int)
		seen := make(map[*maillog.Client]*known)
		for i, c := range cells {
			k := who[i]
			if k.worker < 0 || k.worker >= workers {
				r.Fatalf("worker %d of %d", k.worker, workers)
			}
			if seen[c.client] != nil && seen[c.client] != k {
				r.Fatal("looked up twice")
			}
			seen[c.client] = k
			if k.ok != (c.client.Addr != "none") {
				r.Fatalf("%+v is %v", c.client, k.ok)
			}
			for _, id := range []tlsstate.Identity{k.Address, k.Domain} {
				if w, ok := at[id]; ok && w != k.worker && !id.IsZero() {
					r.Fatalf("%s is with %d and %d", id, w, k.worker)
				}
				at[id] = k.worker
			}
		}
	})
}

// The heaviest worker has no more than the mean and the heaviest group.
func TestShares(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 100), 0, 50).Draw(r, "weights")
		n := rapid.IntRange(1, 5).Draw(r, "workers")
		load, sum := make([]int, n), 0
		for g, w := range shares(weights, n) {
			load[w] += weights[g]
			sum += weights[g]
		}
		if most := slices.Max(load); len(weights) > 0 && most > sum/n+slices.Max(weights) {
			r.Errorf("%v of %v", load, weights)
		}
	})
}

func TestGroups(t *testing.T) {
	id := func(kind tlsstate.Kind, n int) tlsstate.Identity {
		return tlsstate.Identity{Kind: kind, Name: fmt.Sprint(n)}
	}
	g := groups{of: make(map[tlsstate.Identity]int)}
	a := g.join(id(tlsstate.Address, 1), id(tlsstate.Domain, 1))
	b := g.join(id(tlsstate.Address, 2), id(tlsstate.Domain, 2))
	alone := g.join(id(tlsstate.Address, 3), tlsstate.Identity{})
	if g.root(a) == g.root(b) || g.root(alone) == g.root(a) {
		t.Error("strangers in one group")
	}
	g.join(id(tlsstate.Address, 2), id(tlsstate.Domain, 1)) // its name has changed
	if g.root(a) != g.root(b) || g.root(alone) == g.root(a) {
		t.Error("an address with two names does not join them")
	}
}

// What a listener is known to offer is that of the moment.
func TestOffers(t *testing.T) {
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), []tlsstate.Row{{Domain: "exempt.example", Exempt: true}})
	if err != nil {
		t.Fatal(err)
	}
	at := func(day tlsstate.Day, second int64) int64 { return int64(day)*86400 + second }
	l, other := &maillog.Listener{Service: "a"}, &maillog.Listener{Service: "b"}
	clear, tls := &tlsstate.Security{}, &tlsstate.Security{Level: tlsstate.TLS12}
	peer := &known{ok: true}
	exempt := &known{ok: true}
	exempt.Host = "exempt.example"
	var cells []*cell
	var who []*known
	add := func(k *known, first int64, c key) {
		c.day = tlsstate.Day(first / 86400)
		cells, who = append(cells, &cell{key: c, first: first}), append(who, k)
	}
	add(peer, at(100, 0), key{listener: l, security: clear})
	add(exempt, at(100, 1), key{listener: l, security: tls})
	add(peer, at(100, 2), key{listener: l, security: tls, authenticated: true})
	add(&known{}, at(100, 3), key{listener: l, security: tls})
	add(peer, at(100, 50), key{listener: l, security: tls})
	add(peer, at(100, 60), key{listener: l, security: tls})
	add(peer, at(102, 0), key{listener: l, security: tls})
	o := newOffers(cells, who, rules)
	for _, tt := range []struct {
		at   int64
		want tlsstate.Day // last
	}{{at(100, 49), 0}, {at(100, 50), 100}, {at(101, 0), 100}, {at(102, 0), 102}, {at(400, 0), 102}} {
		if h := o.at(l, tt.at); h.Last != tt.want {
			t.Errorf("%d: %+v", tt.at, h)
		}
	}
	if h := o.at(other, at(102, 0)); h != (tlsstate.History{}) {
		t.Errorf("another listener: %+v", h)
	}
	if h := o.all(); h.First != 100 || h.Last != 102 || !h.Offers(200) || h.Offers(300) {
		t.Errorf("%+v", h)
	}
	if len(o[l]) != 2 {
		t.Errorf("%d moments, want 2: a session that changes nothing is none", len(o[l]))
	}
}

// The memory of a replay is one that forgets nothing and has no clock.
func TestMemory(t *testing.T) {
	m := &memory{peers: make(map[tlsstate.Identity]*tlsstate.History), listener: tlsstate.History{First: 7}}
	a := tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.1"}
	if h, err := m.Load(a); h != (tlsstate.History{}) || err != nil {
		t.Error("something of nobody")
	}
	grow := func(h tlsstate.History) tlsstate.History { h.Epoch++; return h }
	for want := uint16(1); want < 4; want++ {
		h, err := m.Learn(a, netip.Addr{}, 1, grow)
		if again, _ := m.Load(a); err != nil || h.Epoch != want || again != h {
			t.Errorf("%+v, %+v, %v", h, again, err)
		}
	}
	l := tlsstate.Identity{Kind: tlsstate.Listener, Name: "log"}
	if h, _ := m.Learn(l, netip.Addr{}, 1, grow); h.Epoch != 0 || h.First != 7 {
		t.Errorf("a listener learned: %+v", h)
	}
	if m.Newest() != 0 {
		t.Error("it has a newest day")
	}
}
