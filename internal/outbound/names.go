package outbound

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// name is a key that Postfix asks for. The identity is zero for one that is no
// destination: a parent domain, a literal or local host.
type name struct {
	key string
	id  tlsstate.Identity
	// route is the host of a key in brackets, else "".
	route string
	// asked is set once Postfix asked for it; isRoute once it asked for this host in
	// brackets, or mail for a next-hop that is no destination went to it.
	asked, isRoute atomic.Bool
	// via is the organisation to whose host this host's own mail went last; under the
	// lock of [asked].
	via string
	// held is the last answer. seen counts its deliveries in the log, and sight is
	// whether there are any.
	held  atomic.Bool
	seen  atomic.Uint64
	sight sight
}

// names holds the keys that were asked lately, so that a look-up copies nothing.
type names struct {
	mu sync.RWMutex
	// young are the newest, and old those before them.
	young, old map[string]*name
}

const (
	// maxNames bounds the keys that are held.
	maxNames = 1 << 16
	// maxKey bounds the bytes of one: Postfix asks for none that is longer.
	maxKey = 255
)

func (n *names) find(key []byte) *name {
	if bytes.ContainsFunc(key, isCapital) {
		key = bytes.ToLower(key)
	}
	n.mu.RLock()
	found := n.young[string(key)]
	n.mu.RUnlock()
	if found != nil {
		return found
	}
	if len(key) > maxKey {
		return &name{key: string(key)}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if found = n.old[string(key)]; found == nil {
		found = &name{key: string(key)}
		if domain, err := DestinationOf(found.key); err == nil {
			found.id = tlsstate.Identity{Kind: tlsstate.Destination, Name: domain}
		} else if strings.HasPrefix(found.key, "[") {
			found.route = hostsOf(hops(found.key))[0]
		}
	}
	if n.young == nil || len(n.young) >= maxNames/2 {
		n.young, n.old = make(map[string]*name), n.young
	}
	n.young[found.key] = found
	return found
}

// addRoute notes a host that mail goes to by the administrator's order, if it is one.
func (n *names) addRoute(host string) {
	if host != "" {
		n.find([]byte(host)).isRoute.Store(true)
	}
}

func isCapital(r rune) bool { return 'A' <= r && r <= 'Z' }

// DestinationOf returns the domain that a key names, in lower-case A-labels:
// Postfix passes it as somebody typed it (socketmap even with its case). Not
// for keys of parent domains (".test"), hosts in brackets, ports, addresses and
// single labels: those are routes of the administrator's.
func DestinationOf(key string) (domain string, err error) {
	_, notAddress := netip.ParseAddr(key)
	domain, err = peer.Normalize(key)
	if err != nil || notAddress == nil || !strings.Contains(domain, ".") || domain == "localhost.localdomain" || strings.HasSuffix(domain, ".localhost") {
		return "", fmt.Errorf("%.100q is no destination: name the domain that mail is sent to", key)
	}
	return domain, nil
}
