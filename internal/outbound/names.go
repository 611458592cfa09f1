package outbound

import (
	"net/netip"
	"strings"
	"sync"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// name is a key that Postfix asks for. The identity is zero for one that is no
// destination: a parent domain, a literal or local host.
type name struct {
	key string
	id  tlsstate.Identity
}

// names holds the keys that were asked lately, so that a look-up copies nothing.
type names struct {
	mu  sync.RWMutex
	all map[string]*name
}

// maxNames bounds the keys that are held. Beyond it they are made anew.
const maxNames = 1 << 16

func (n *names) find(key []byte) *name {
	n.mu.RLock()
	found := n.all[string(key)]
	n.mu.RUnlock()
	if found != nil {
		return found
	}
	made := &name{key: string(key)}
	if domain, ok := destinationOf(made.key); ok {
		made.id = tlsstate.Identity{Kind: tlsstate.Destination, Name: domain}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil || len(n.all) >= maxNames {
		n.all = make(map[string]*name)
	}
	n.all[made.key] = made
	return made
}

// destinationOf returns the domain that a key names, in lower-case A-labels:
// Postfix passes it as somebody typed it (socketmap even with its case). Not
// for keys of parent domains (".test"), hosts in brackets, ports, addresses and
// single labels: those are routes of the administrator's.
func destinationOf(key string) (domain string, ok bool) {
	if key == "" || strings.ContainsAny(key, "[]:") || key[0] == '.' {
		return "", false
	}
	if _, err := netip.ParseAddr(key); err == nil {
		return "", false
	}
	domain, err := peer.Normalize(key)
	if err != nil || !strings.Contains(domain, ".") || domain == "localhost.localdomain" || strings.HasSuffix(domain, ".localhost") {
		return "", false
	}
	return domain, true
}
