package spf

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"tlsratchet/internal/peer/spf/resolver"
)

// maxQuestions is how many questions one proof may put to DNS, whatever the
// record: RFC 7208 section 4.6.4 allows 10 terms, but 111 questions for them.
const maxQuestions = 30

// proof is one proof under way, and the DNS that SPF sees in it: each question
// has one answer, whatever its TTL, so that two evaluations see the same world.
// It is for one goroutine.
type proof struct {
	resolver *resolver.Resolver
	allow    func() bool
	ip       netip.Addr
	answers  map[resolver.Question]outcome

	questions int
	// refused says that a limit kept us from asking.
	refused bool
	// again is the second evaluation. It asks nothing new, unless a record of
	// the first looked at the address itself (macros): all that counts was
	// asked by the first then. beyond says that it came to something new.
	again, macros, beyond bool
}

type outcome struct {
	resolver.Answer
	err error
}

var errBeyond = errors.New("not asked again")

// lookup answers one question of SPF. The library distinguishes errors by a bare
// *net.DNSError.
func (p *proof) lookup(ctx context.Context, q resolver.Question) (resolver.Answer, error) {
	o, ok := p.answers[q]
	switch {
	case ok:
	case p.again && !p.macros:
		p.beyond = true
		return resolver.Answer{}, dnsError(q, errBeyond)
	case ctx.Err() != nil:
		return resolver.Answer{}, dnsError(q, ctx.Err())
	default:
		o.Answer, o.err = p.resolver.Lookup(ctx, q, p.mayAsk)
		p.refused = p.refused || errors.Is(o.err, resolver.ErrRefused)
		p.answers[q] = o
	}
	if o.err != nil {
		return resolver.Answer{}, dnsError(q, o.err)
	}
	return o.Answer, nil
}

func (p *proof) mayAsk() bool {
	if p.questions >= maxQuestions || !p.allow() {
		return false
	}
	p.questions++
	return true
}

func dnsError(q resolver.Question, err error) error {
	notFound := errors.Is(err, resolver.ErrNotFound)
	return &net.DNSError{UnwrapErr: err, Err: err.Error(), Name: q.Name, IsNotFound: notFound, IsTemporary: !notFound}
}

func (p *proof) ask(ctx context.Context, name string, t resolver.Type) (resolver.Answer, error) {
	q, err := resolver.Ask(name, t)
	if err != nil {
		return resolver.Answer{}, dnsError(q, err)
	}
	return p.lookup(ctx, q)
}

// LookupTXT returns the SPF records of a name.
func (p *proof) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a, err := p.ask(ctx, name, resolver.TypeTXT)
	for _, s := range a.Texts {
		p.macros = p.macros || strings.Contains(strings.ToLower(s), "%{i")
	}
	return a.Texts, err
}

// LookupMX returns the mail servers of a name.
func (p *proof) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	a, err := p.ask(ctx, name, resolver.TypeMX)
	var mxs []*net.MX
	for _, host := range a.Names {
		mxs = append(mxs, &net.MX{Host: host})
	}
	return mxs, err
}

// LookupIPAddr returns the addresses of a name: those of IPv4, which is all that
// can matter to a client with one; else those of IPv6 and, for "exists", of
// IPv4 (RFC 7208 sections 5.3 and 5.7).
func (p *proof) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	a, err := p.ask(ctx, host, resolver.TypeA)
	if !p.ip.Is4() {
		var six resolver.Answer
		var err6 error
		six, err6 = p.ask(ctx, host, resolver.TypeAAAA)
		a.Addrs = append(a.Addrs[:len(a.Addrs):len(a.Addrs)], six.Addrs...)
		err = worse(err, err6)
	}
	var ips []net.IPAddr
	for _, ip := range a.Addrs {
		ips = append(ips, net.IPAddr{IP: ip.AsSlice()})
	}
	return ips, err
}

// worse returns the error of two look-ups of a name: nil if either found
// something and neither failed.
func worse(a, b error) error {
	for _, err := range []error{a, b} {
		if err != nil && !errors.Is(err, resolver.ErrNotFound) {
			return err
		}
	}
	if a == nil {
		return nil
	}
	return b
}

// LookupAddr returns the names of an address. The second evaluation has none:
// that a neighbour has a name of the domain makes nothing wide.
func (p *proof) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil || p.again {
		return nil, dnsError(resolver.Question{Name: addr}, errBeyond)
	}
	a, err := p.lookup(ctx, resolver.Reverse(ip))
	return a.Names, err
}
