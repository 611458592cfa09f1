package replay

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tlsratchet/internal/maillog"
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
		for i, c := range clients {
			c.Number = i
		}
		workers := rapid.IntRange(1, 4).Draw(r, "workers")
		cs := newCells()
		for day := range rapid.IntRange(1, 40).Draw(r, "cells") {
			cs.of(key{client: cs.client(rapid.SampledFrom(clients).Draw(r, "client")), day: tlsstate.Day(day)}, 0)
		}
		who, all := identify(&cs, workers)
		at := make(map[tlsstate.Identity]int)
		if len(who) != len(cs.clients) || len(who) > len(clients) {
			r.Fatalf("%d of %d clients", len(who), len(cs.clients))
		}
		for i, c := range cs.clients {
			k := who[i]
			if c == nil { // not drawn
				if k.ok {
					r.Fatalf("nobody is %+v", k)
				}
				continue
			}
			if k.worker < 0 || k.worker >= workers {
				r.Fatalf("worker %d of %d", k.worker, workers)
			}
			if k.ok != (c.Addr != "none") {
				r.Fatalf("%+v is %v", c, k.ok)
			}
			if k.address != all.of[k.Address] || k.Domain.IsZero() != (k.domain < 0) || k.domain >= 0 && k.domain != all.of[k.Domain] {
				r.Fatalf("%+v is not of these numbers: %v", k, all.of)
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

// Every cell is with the worker of its client, a group's in one piece and in the
// order of time.
func TestByWorker(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		cs := fold(rapid.SliceOfN(rapid.Custom(drawSeen), 0, 60).Draw(r, "sessions"))
		workers := rapid.IntRange(1, 4).Draw(r, "workers")
		who, all := identify(cs, workers)
		parts := byWorker(cs, cs.sorted(), who, &all, workers)
		total := 0
		for w, part := range parts {
			total += len(part)
			done := make(map[int]bool)
			for i, place := range part {
				c := cs.at(place)
				k := who[c.client]
				if k.worker != w || done[k.group] {
					r.Fatalf("worker %d has group %d of worker %d, again: %v", w, k.group, k.worker, done[k.group])
				}
				if i+1 < len(part) {
					switch after := cs.at(part[i+1]); {
					case who[after.client].group != k.group:
						done[k.group] = true
					case after.first < c.first:
						r.Fatal("not in the order of time")
					}
				}
			}
		}
		if total != int(cs.count) {
			r.Fatalf("%d of %d cells", total, cs.count)
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
	a, _ := g.join(id(tlsstate.Address, 1), id(tlsstate.Domain, 1))
	b, _ := g.join(id(tlsstate.Address, 2), id(tlsstate.Domain, 2))
	alone, none := g.join(id(tlsstate.Address, 3), tlsstate.Identity{})
	if none != -1 {
		t.Errorf("no domain is number %d", none)
	}
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
	o := make(offers)
	add := func(p *known, first int64, k kind) {
		o.learn(&cell{key: key{day: tlsstate.Day(first / 86400)}, first: first}, &k, p, rules)
	}
	add(peer, at(100, 0), kind{listener: l, security: clear})
	add(exempt, at(100, 1), kind{listener: l, security: tls})
	add(peer, at(100, 2), kind{listener: l, security: tls, authenticated: true})
	add(peer, at(100, 2), kind{listener: l, security: tls, unknown: true})
	add(&known{}, at(100, 3), kind{listener: l, security: tls})
	add(peer, at(100, 50), kind{listener: l, security: tls})
	add(peer, at(100, 60), kind{listener: l, security: tls})
	add(peer, at(102, 0), kind{listener: l, security: tls})
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
	p := &known{address: 1, domain: -1}
	p.Address = tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.1"}
	m := &memory{histories: make([]tlsstate.History, 3), peer: p, listener: tlsstate.History{First: 7}}
	grow := func(h tlsstate.History) tlsstate.History { h.Epoch++; return h }
	has := func(id tlsstate.Identity, upTo uint16) {
		t.Helper()
		if h, err := m.Load(id); h != (tlsstate.History{}) || err != nil {
			t.Error("something of nobody")
		}
		for want := uint16(1); want <= upTo; want++ {
			h, err := m.Learn(id, netip.Addr{}, 1, grow)
			if again, _ := m.Load(id); err != nil || h.Epoch != want || again != h {
				t.Errorf("%+v, %+v, %v", h, again, err)
			}
		}
	}
	has(p.Address, 3)
	stranger := tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}
	if _, err := m.Load(stranger); !errors.Is(err, errNobody) {
		t.Errorf("load: %v", err)
	}
	if _, err := m.Learn(stranger, netip.Addr{}, 1, grow); !errors.Is(err, errNobody) {
		t.Errorf("learn: %v", err)
	}
	p.Domain, p.domain = stranger, 2
	has(stranger, 2)
	if m.histories[0] != (tlsstate.History{}) || m.histories[1].Epoch != 3 || m.histories[2].Epoch != 2 {
		t.Errorf("%+v", m.histories)
	}
	l := tlsstate.Identity{Kind: tlsstate.Listener, Name: "log"}
	if h, _ := m.Learn(l, netip.Addr{}, 1, grow); h.Epoch != 0 || h.First != 7 {
		t.Errorf("a listener learned: %+v", h)
	}
	if m.Newest() != 0 {
		t.Error("it has a newest day")
	}
}
