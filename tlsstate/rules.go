package tlsstate

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Row is an operator's standing wish for some peers: those of one network, or
// those of one domain. It sets an action, a least level, or exemption.
type Row struct {
	// Domain is the name of the client that DNS confirmed, in lower-case
	// A-labels without a trailing dot. With Subdomains the row stands for all
	// names below it too.
	Domain     string
	Subdomains bool
	// Network is the network of the client. A row has this or a Domain.
	Network netip.Prefix
	// Sender is the domain of MAIL FROM, written as Domain is. Such a row holds
	// whatever host sends: it needs no proof, because it only demands more.
	Sender string

	// Action, if not nil, is the action for [Stripped] and [Weakened]. It is
	// then never capped and never suspended: see [Policy.Peer].
	Action *Action
	// Least is the level that these peers must reach from their first mail on;
	// [Plaintext] for none. Without an Action the action is the base policy's.
	Least Level
	// Fingerprints are those of certificates or public keys, in the form of
	// [Fingerprint]: these peers must show one of them, and thus come with TLS.
	Fingerprints []string
	// Exempt says that they are neither judged nor learned. It goes with no
	// other wish.
	Exempt bool
	// Judged says that they are judged by the base policy, though their
	// addresses are private ones.
	Judged bool
}

// RowError is the error for a wrong row of [NewRules].
type RowError struct {
	// Row is the index of the row.
	Row int
	// Key is the part of it that is wrong, as the config spells it; "" for
	// the row as a whole.
	Key string
	Err error
}

// Error returns the row, counted from 1, the key and what would be right.
func (e *RowError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("row %d: %v", e.Row+1, e.Err)
	}
	return fmt.Sprintf("row %d: %s: %v", e.Row+1, e.Key, e.Err)
}

// Unwrap returns what is wrong without where.
func (e *RowError) Unwrap() error { return e.Err }

// Rules are a base policy and the policies of the rows, made ready. They never
// change and may be shared.
type Rules struct {
	base     Policy
	lengths  []int // that occur in networks, the longest first
	networks map[netip.Prefix]*Policy
	// domains are the rows that name a client, senders those that name a sender.
	domains, senders names
}

// names are rows by name: those of the name itself, and those with all below it.
type names struct{ exact, below map[string]*Policy }

// NewRules makes the rules of a base policy and the rows. The error joins a
// [*RowError] for each row that is wrong.
func NewRules(base Policy, rows []Row) (*Rules, error) {
	r := &Rules{
		base:     base,
		networks: make(map[netip.Prefix]*Policy),
		domains:  names{make(map[string]*Policy), make(map[string]*Policy)},
		senders:  names{make(map[string]*Policy), make(map[string]*Policy)},
	}
	var errs []error
	for i := range rows {
		key, err := rows[i].check()
		if err == nil {
			key, err = r.add(&rows[i])
		}
		if err != nil {
			errs = append(errs, &RowError{Row: i, Key: key, Err: err})
		}
	}
	slices.SortFunc(r.lengths, func(a, b int) int { return b - a })
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return r, nil
}

// Default returns the base policy. The caller must not change it.
func (r *Rules) Default() *Policy { return &r.base }

// For returns the policy for a client: that of the row that fits it best, or the
// base policy. A network goes before a domain, a longer prefix before a shorter
// one, the name itself before the domains above it, the nearest of these first.
// host is the client's name, confirmed forward and back, in lower-case A-labels;
// "" for none. The caller must not change the policy.
func (r *Rules) For(addr netip.Addr, host string) *Policy {
	if p := r.network(addr.Unmap().WithZone("")); p != nil {
		return p
	}
	if p := r.domains.find(host); p != nil {
		return p
	}
	return &r.base
}

// NamesSenders reports whether a row names a sender.
func (r *Rules) NamesSenders() bool { return len(r.senders.exact)+len(r.senders.below) > 0 }

// ForSender returns the policy for a message: that of the sender's row where it
// demands a higher level, else rule, the client's. domain is that of MAIL FROM,
// written as a host in [Rules.For]. Anybody may claim a sender, so no sender softens
// an action or frees a client of its fingerprints.
func (r *Rules) ForSender(rule *Policy, domain string) *Policy {
	p := r.senders.find(domain)
	if p == nil || p.Least <= rule.Least || rule.Fingerprints != nil {
		return rule
	}
	both := *p
	both.Stripped, both.Weakened = max(p.Stripped, rule.Stripped), max(p.Weakened, rule.Weakened)
	both.Peer = p.Peer || rule.Peer
	return &both
}

func (r *Rules) network(addr netip.Addr) *Policy {
	for _, bits := range r.lengths {
		prefix, _ := addr.Prefix(bits) // the zero one, if the address is shorter or there is none
		if p := r.networks[prefix]; p != nil {
			return p
		}
	}
	return nil
}

// find returns the policy of a name, or of the nearest domain above it.
func (n *names) find(host string) *Policy {
	if p := n.exact[host]; p != nil {
		return p
	}
	for len(n.below) > 0 && host != "" {
		if p := n.below[host]; p != nil {
			return p
		}
		_, host, _ = strings.Cut(host, ".")
	}
	return nil
}

// add makes the policy of a row that was checked.
func (r *Rules) add(row *Row) (key string, err error) {
	p := r.policy(row)
	if row.Network.IsValid() {
		if r.networks[row.Network] != nil {
			return "network", fmt.Errorf("%s has a row already", row.Network)
		}
		if bits := row.Network.Bits(); !slices.Contains(r.lengths, bits) {
			r.lengths = append(r.lengths, bits)
		}
		r.networks[row.Network] = p
		return "", nil
	}
	key, name, names := "domain", row.Domain, &r.domains
	if row.Sender != "" {
		key, name, names = "sender", row.Sender, &r.senders
	}
	rows, with := names.exact, "without"
	if row.Subdomains {
		rows, with = names.below, "with"
	}
	if rows[name] != nil {
		return key, fmt.Errorf("%s %s its subdomains has a row already", name, with)
	}
	rows[name] = p
	return "", nil
}

// policy is the base policy with the wishes of a row. Peer lifts the caps, so
// a row that names no action doesn't set it: a least level is no wish to
// refuse more than memory alone would. That a level was required is in the
// verdict.
func (r *Rules) policy(row *Row) *Policy {
	p := r.base
	p.Least, p.Exempt, p.Row = row.Least, row.Exempt, row.Domain+row.Sender
	if p.Row == "" {
		p.Row = row.Network.String()
	}
	if row.Action != nil {
		p.Peer = true
		p.Stripped, p.Weakened = *row.Action, *row.Action
	}
	if len(row.Fingerprints) > 0 {
		p.Fingerprints, p.Least = row.Fingerprints, max(row.Least, Weak)
		if row.Action != nil {
			p.Unauthenticated = *row.Action
		}
	}
	return &p
}

// The widest networks that a row may stand for: what one registry or one
// organisation was ever given, never everybody.
const (
	widest4 = 8
	widest6 = 19
)

// check reports whether the row is one: some peers, never everybody (RFC 3207
// section 4), and some wish.
func (row *Row) check() (key string, err error) {
	switch {
	case row.Domain != "" && row.Network.IsValid():
		return "", errors.New("names a domain and a network: make it two rows")
	case row.Sender != "" && (row.Domain != "" || row.Network.IsValid()):
		return "", errors.New("names a sender and a client: make it two rows")
	case row.Domain == "" && row.Sender == "" && !row.Network.IsValid():
		return "", errors.New("names no peer: set domain, network or sender")
	case row.Sender != "" && row.Least == Plaintext:
		return "sender", errors.New("anybody may claim to be a sender, so that such a row can only demand TLS: set least")
	case row.Action == nil && row.Least == Plaintext && !row.Exempt && !row.Judged && len(row.Fingerprints) == 0:
		return "", errors.New("sets nothing: add action, least or exempt = true")
	case row.Exempt && (row.Action != nil || row.Least > Plaintext):
		return "exempt", errors.New("an exempt peer is never judged: leave out action and least")
	case row.Exempt && len(row.Fingerprints) > 0:
		return "exempt", errors.New("an exempt peer is never judged: leave out fingerprint")
	case row.Sender != "" && len(row.Fingerprints) > 0:
		return "fingerprint", errors.New("a sender has no certificate, its hosts have: name them by domain or network")
	case row.Network.IsValid():
		return row.checkNetwork()
	case row.Subdomains && !strings.Contains(row.Domain+row.Sender, "."):
		key = "domain"
		if row.Sender != "" {
			key = "sender"
		}
		return key, fmt.Errorf("%s with its subdomains is everybody, and a public server must not require TLS of everybody (RFC 3207 section 4): name a domain below it", row.Domain+row.Sender)
	}
	return "", nil
}

func (row *Row) checkNetwork() (key string, err error) {
	n, widest := row.Network, widest6
	if n.Addr().Is4() {
		widest = widest4
	}
	switch {
	case row.Subdomains:
		return "subdomains", errors.New("a network has none: leave it out")
	case n.Addr().Is4In6():
		return "network", fmt.Errorf("%s is IPv4 in IPv6: write it as IPv4", n)
	case n != n.Masked():
		return "network", fmt.Errorf("%s has bits beyond its prefix: use %s", n, n.Masked())
	case n.Bits() < widest && row.Exempt && !local(n.Addr()):
		return "network", fmt.Errorf("%s exempts a large part of the Internet: name your own networks", n)
	case n.Bits() < widest && !row.Exempt && !row.Judged:
		return "network", fmt.Errorf("%s is too wide, and a public server must not require TLS of everybody (RFC 3207 section 4): use a /%d or narrower", n, widest)
	}
	return "", nil
}

// local reports whether an address is of a range that is never routed, which a
// row may exempt whole.
func local(a netip.Addr) bool { return a.IsPrivate() || a.IsLinkLocalUnicast() }
