package replay

import (
	"slices"
	"sync"

	"tlsratchet/maillog"
	"tlsratchet/peer"
	"tlsratchet/tlsstate"
)

// known is a client and who it is. Clients that share an identity, by however
// many others in between, are of one group: they are judged by one worker, in
// the order of time, and groups at the same time.
type known struct {
	peer.Peer
	ok            bool
	group, worker int
}

// identify looks up the client of each cell, and spreads the work.
func identify(cells []*cell, workers int) (who []*known) {
	peers := make(map[*maillog.Client]*known)
	var clients []*maillog.Client
	who = make([]*known, len(cells))
	for i, c := range cells {
		k := peers[c.client]
		if k == nil {
			k = &known{}
			peers[c.client] = k
			clients = append(clients, c.client)
		}
		who[i] = k
	}
	var wg sync.WaitGroup
	for part := range slices.Chunk(clients, len(clients)/workers+1) {
		wg.Go(func() {
			for _, c := range part {
				peers[c].look(c)
			}
		})
	}
	wg.Wait()
	g := groups{of: make(map[tlsstate.Identity]int, 2*len(clients))}
	for _, k := range peers {
		k.group = g.join(k.Address, k.Domain)
	}
	weights := make([]int, len(g.parent))
	for _, k := range who {
		k.group = g.root(k.group)
		weights[k.group]++
	}
	worker := shares(weights, workers)
	for _, k := range peers {
		k.worker = worker[k.group]
	}
	return who
}

func (k *known) look(c *maillog.Client) {
	resolve := "OK"
	if c.Name == "unknown" {
		resolve = "FAIL"
	}
	p, err := peer.Identify(peer.Client{Addr: c.Addr, Name: c.Name, Resolve: resolve})
	k.Peer, k.ok = p, err == nil
}

// groups are identities that belong together: a union-find.
type groups struct {
	of     map[tlsstate.Identity]int
	parent []int
}

// join returns the group of an address, which its domain is then in too.
func (g *groups) join(address, domain tlsstate.Identity) int {
	a := g.group(address)
	if !domain.IsZero() {
		d := g.group(domain)
		g.parent[g.root(d)] = g.root(a)
	}
	return a
}

func (g *groups) group(id tlsstate.Identity) int {
	n, ok := g.of[id]
	if !ok {
		n = len(g.parent)
		g.of[id] = n
		g.parent = append(g.parent, n)
	}
	return n
}

func (g *groups) root(n int) int {
	for g.parent[n] != n {
		g.parent[n] = g.parent[g.parent[n]]
		n = g.parent[n]
	}
	return n
}

// shares spreads groups over n workers, the heaviest first.
func shares(weights []int, n int) (worker []int) {
	all := make([]int, len(weights))
	for g := range all {
		all[g] = g
	}
	slices.SortFunc(all, func(a, b int) int { return weights[b] - weights[a] })
	worker = make([]int, len(weights))
	load := make([]int, n)
	for _, g := range all {
		least := 0
		for w := range load {
			if load[w] < load[least] {
				least = w
			}
		}
		worker[g] = least
		load[least] += weights[g]
	}
	return worker
}
