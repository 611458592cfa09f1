package population

import (
	"context"
	"fmt"
	"math"
	"strings"

	"tlsratchet/internal/peer/spf"
	"tlsratchet/tlsstate"
)

// withoutSPF is the share of senders that no SPF record proves.
const withoutSPF = 0.3

// customer returns the address of a sender: that of one customer of a provider
// or of a hosting company.
func customer(of string, n int) string {
	prefix := ""
	if chance(uint64(n), uint64(len(of))) < withoutSPF {
		prefix = unproven
	}
	return fmt.Sprintf("news@%scustomer%d-%s", prefix, n, of)
}

const unproven = "unproven-"

// sender returns the sender of a message, and gives it the host of one that has
// an address to itself. Only senders at providers and hosting companies matter.
func (w *siteWorld) sender(l *letter) string {
	p, salt := l.from.pool, uint64(l.at)
	if p == nil {
		if l.from.habit.hoster {
			return customer(l.from.domain, int(l.from.phase*1e9))
		}
		return ""
	}
	if p.senders == 0 {
		return fmt.Sprintf("bounce@host%d.%s", l.host, p.domain)
	}
	if chance(salt, uint64(l.host)) < p.first {
		return "somebody@users-of-" + p.domain
	}
	x := chance(uint64(l.host), salt+1)
	n := int(x * x * math.Ceil(float64(p.senders)*w.site.Peers))
	if chance(uint64(n), 3) < p.dedicated {
		l.host = n * 7 % p.addresses
	}
	return customer(p.domain, n)
}

// notary proves senders as SPF does, at once. It knows of no domain whose record
// names its hosts.
type notary struct{}

// Prove reports whether the sender has a record.
func (notary) Prove(_ context.Context, c spf.Claim) spf.Result {
	if c.Identity.Kind != tlsstate.Sender || strings.HasPrefix(c.Identity.Name, unproven) {
		return spf.NotPassed
	}
	return spf.Proven
}

// Learn learns what is proven.
func (n notary) Learn(c spf.Claim, learn func()) bool {
	if !n.Tried(c) {
		learn()
	}
	return true
}

// Tried reports whether the claim would not be proven.
func (n notary) Tried(c spf.Claim) bool { return n.Prove(context.Background(), c) != spf.Proven }
