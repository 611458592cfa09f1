package population

import (
	"net/netip"

	"tlsratchet/tlsstate"
)

// before is the rule that ours replaced: a domain speaks in full only where ten
// addresses in three networks hold pins of their own, an IPv6 /64 is one peer,
// and where DNS confirms no name only the address speaks. It has no breaker.
type before struct {
	histories map[tlsstate.Identity]tlsstate.History
	pinned    map[string]*breadth
	rule      tlsstate.Policy
}

// breadth is what holds a pin under a domain.
type breadth struct {
	addresses map[string]bool
	networks  map[string]bool
}

func newBefore() judge {
	return &before{histories: map[tlsstate.Identity]tlsstate.History{}, pinned: map[string]*breadth{}, rule: Defaults()}
}

func (r *before) identities(x *transaction) (address, domain tlsstate.Identity) {
	address = x.Peer.Address
	if ip := x.Peer.IP; ip.Is6() {
		address.Name = netip.PrefixFrom(ip, 64).Masked().String()
	}
	return address, x.Peer.Domain
}

// look judges a session, and returns what the two histories become.
func (r *before) look(x *transaction) (v tlsstate.Verdict, after [2]tlsstate.History) {
	address, domain := r.identities(x)
	o := tlsstate.Observation{Day: tlsstate.DayOf(x.At), Security: x.Security}
	var vs tlsstate.Verdicts
	vs.Address, after[0] = tlsstate.Judge(r.histories[address], o, &r.rule)
	vs.Address.Identity = address
	if !domain.IsZero() {
		vs.Domain, after[1] = tlsstate.Judge(r.histories[domain], o, &r.rule)
		vs.Domain.Identity = domain
	}
	rule := r.rule
	rule.DomainEnforce = tlsstate.EnforceBroad
	if b := r.pinned[domain.Name]; b != nil && len(b.addresses) >= 10 && len(b.networks) >= 3 {
		rule.DomainEnforce = tlsstate.EnforceAlways
	}
	return tlsstate.Combine(&vs, &rule), after
}

func (r *before) judge(x *transaction) answer {
	v, after := r.look(x)
	address, domain := r.identities(x)
	r.histories[address] = after[0]
	if !domain.IsZero() {
		r.histories[domain] = after[1]
		if h := after[0]; h.TopPin(&r.rule, h.Last) > tlsstate.Plaintext {
			b := r.pinned[domain.Name]
			if b == nil {
				b = &breadth{map[string]bool{}, map[string]bool{}}
				r.pinned[domain.Name] = b
			}
			b.addresses[address.Name], b.networks[x.Peer.NetworkID().Name] = true, true
		}
	}
	down := v.Outcome == tlsstate.Downgraded
	return answer{action: v.Action, identity: v.Identity, downgrade: down, full: down && v.Action >= r.rule.Action(v.Kind)}
}

func (r *before) probe(x *transaction) bool {
	v, _ := r.look(x)
	return v.Action >= tlsstate.Tempfail
}
