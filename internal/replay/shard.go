package replay

import (
	"slices"
	"sync"

	"tlsratchet/internal/maillog"
	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// known is a client and who it is. Clients that share an identity, by however
// many others in between, are of one group: they are judged by one worker, in
// the order of time, and groups at the same time.
type known struct {
	peer.Peer
	ok bool
	// address and domain are the numbers of the identities; domain is -1 where
	// there is none.
	address, domain int
	group, worker   int
}

// identify looks up the clients of the cells, and spreads the work.
func identify(cs *cells, workers int) (who []known, all groups) {
	who = make([]known, len(cs.clients))
	var wg sync.WaitGroup
	part := len(who)/workers + 1
	for from := 0; from < len(who); from += part {
		wg.Go(func() {
			for i := from; i < min(from+part, len(who)); i++ {
				if c := cs.clients[i]; c != nil { // else nothing of it counted
					who[i].look(c)
				}
			}
		})
	}
	wg.Wait()
	g := groups{of: make(map[tlsstate.Identity]int, 2*len(who))}
	for i := range who {
		k := &who[i]
		k.address, k.domain = g.join(k.Address, k.Domain)
	}
	for i := range who {
		who[i].group = g.root(who[i].address)
	}
	weights := make([]int, len(g.parent))
	for place := range cs.count {
		weights[who[cs.at(place+1).client].group]++
	}
	worker := shares(weights, workers)
	for i := range who {
		who[i].worker = worker[who[i].group]
	}
	return who, g
}

// byWorker gives each worker its places, one group after the other and each in
// the order of time: so what belongs together is at hand together.
func byWorker(cs *cells, order []uint32, who []known, all *groups, workers int) [][]uint32 {
	sizes, next := make([]int, len(all.parent)), make([]int, len(all.parent)) // by group
	for _, place := range order {
		sizes[who[cs.at(place).client].group]++
	}
	lengths := make([]int, workers)
	for i := range who {
		if k := &who[i]; sizes[k.group] > 0 {
			next[k.group] = lengths[k.worker]
			lengths[k.worker] += sizes[k.group]
			sizes[k.group] = 0
		}
	}
	parts := make([][]uint32, workers)
	for w := range parts {
		parts[w] = make([]uint32, lengths[w])
	}
	for _, place := range order {
		k := &who[cs.at(place).client]
		parts[k.worker][next[k.group]] = place
		next[k.group]++
	}
	return parts
}

func (k *known) look(c *maillog.Client) {
	resolve := "OK"
	if c.Name == "unknown" {
		resolve = "FAIL"
	}
	p, err := peer.Identify(peer.Client{Addr: c.Addr, Name: c.Name, Resolve: resolve})
	k.Peer, k.ok = p, err == nil
}

// groups numbers identities, and tells which belong together: a union-find.
type groups struct {
	of     map[tlsstate.Identity]int
	parent []int
}

// join returns the numbers of an address and its domain, -1 without one. They
// are in one group then.
func (g *groups) join(address, domain tlsstate.Identity) (a, d int) {
	a, d = g.number(address), -1
	if !domain.IsZero() {
		d = g.number(domain)
		g.parent[g.root(d)] = g.root(a)
	}
	return a, d
}

func (g *groups) number(id tlsstate.Identity) int {
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
