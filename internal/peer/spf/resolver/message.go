package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// maxText is the longest SPF record that is read: flattened ones have some 2 KB.
const maxText = 8 << 10

// maxNames is how many MX or PTR are kept: SPF reads 10, and more MX are an error
// (RFC 7208 section 4.6.4). Pointers make many long names of a short message.
const maxNames = 11

// udpSize is the EDNS(0) size that crosses every network whole.
const udpSize = 1232

// How long answers live; see doc.go. An answer of TTL 0 serves those who wait
// for it.
const (
	maxTTL      = 24 * time.Hour
	maxNegative = time.Hour // RFC 2308 section 5 allows 3 hours
	failureTTL  = 10 * time.Second
)

var (
	// errForeign is a message that answers something else: wait for ours.
	errForeign = errors.New("not the answer to the question")
	// errTruncated: ask again by TCP.
	errTruncated = errors.New("truncated")
)

// pack makes the message of a question.
func pack(q Question, id uint16) ([]byte, error) {
	name, err := dnsmessage.NewName(q.Name + ".")
	if err != nil {
		return nil, err
	}
	b := dnsmessage.NewBuilder(make([]byte, 0, 512), dnsmessage.Header{ID: id, RecursionDesired: true})
	var opt dnsmessage.ResourceHeader
	err = errors.Join(
		b.StartQuestions(),
		b.Question(dnsmessage.Question{Name: name, Type: q.Type, Class: dnsmessage.ClassINET}),
		b.StartAdditionals(),
		opt.SetEDNS0(udpSize, dnsmessage.RCodeSuccess, false),
		b.OPTResource(opt, dnsmessage.OPTResource{}),
	)
	if err != nil {
		return nil, err
	}
	return b.Finish()
}

// parse reads the answer to a question, and how long it may be kept. Errors are
// errForeign, errTruncated, one that wraps [ErrNotFound], or [ErrFailed].
func parse(msg []byte, q Question, id uint16) (Answer, time.Duration, error) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || h.ID != id || !h.Response || !echoes(&p, q) {
		return Answer{}, 0, errForeign
	}
	switch {
	case h.Truncated:
		return Answer{}, 0, errTruncated
	case h.RCode != dnsmessage.RCodeSuccess && h.RCode != dnsmessage.RCodeNameError:
		return Answer{}, failureTTL, fmt.Errorf("%w: the server says %v", ErrFailed, h.RCode)
	}
	a, ttl, err := answers(&p, q)
	if err != nil {
		return Answer{}, failureTTL, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	if h.RCode == dnsmessage.RCodeNameError || !a.found {
		return Answer{}, negative(&p), fmt.Errorf("%w: %v", ErrNotFound, h.RCode)
	}
	return a, ttl, nil
}

// echoes tells whether the message repeats our question, case apart.
func echoes(p *dnsmessage.Parser, q Question) bool {
	all, err := p.AllQuestions()
	return err == nil && len(all) == 1 && all[0].Type == q.Type && all[0].Class == dnsmessage.ClassINET &&
		strings.EqualFold(all[0].Name.String(), q.Name+".")
}

// answers reads the section, whatever the order of aliases in it.
func answers(p *dnsmessage.Parser, q Question) (a Answer, ttl time.Duration, err error) {
	ttl = maxTTL
	for {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return a, ttl, nil
		}
		if err != nil {
			return a, 0, err
		}
		if h.Class == dnsmessage.ClassINET && (h.Type == q.Type || h.Type == dnsmessage.TypeCNAME) {
			ttl = min(ttl, lifetime(h.TTL))
		}
		if h.Class != dnsmessage.ClassINET || h.Type != q.Type {
			err = p.SkipAnswer()
		} else {
			a.found = true
			err = a.add(p, h.Type)
		}
		if err != nil {
			return a, 0, err
		}
	}
}

// add takes in the resource that the parser is at.
func (a *Answer) add(p *dnsmessage.Parser, t dnsmessage.Type) error {
	switch t {
	case TypeA:
		r, err := p.AResource()
		a.Addrs = append(a.Addrs, netip.AddrFrom4(r.A))
		return err
	case TypeAAAA:
		r, err := p.AAAAResource()
		a.Addrs = append(a.Addrs, netip.AddrFrom16(r.AAAA).Unmap())
		return err
	case TypeMX:
		r, err := p.MXResource()
		a.name(&r.MX)
		return err
	case TypePTR:
		r, err := p.PTRResource()
		a.name(&r.PTR)
		return err
	case TypeTXT:
		r, err := p.TXTResource()
		if err != nil {
			return err
		}
		return a.text(r.TXT)
	}
	return p.SkipAnswer()
}

func (a *Answer) name(n *dnsmessage.Name) {
	if len(a.Names) < maxNames {
		a.Names = append(a.Names, strings.TrimSuffix(n.String(), "."))
	}
}

// text keeps a TXT record if it is one of SPF (RFC 7208 sections 3.3 and 4.5).
func (a *Answer) text(parts []string) error {
	s := strings.Join(parts, "")
	const version = "v=spf1"
	if len(s) < len(version) || !strings.EqualFold(s[:len(version)], version) ||
		len(s) > len(version) && s[len(version)] != ' ' {
		return nil
	}
	if len(s) > maxText {
		return fmt.Errorf("an SPF record of %d bytes", len(s))
	}
	if len(a.Texts) < 2 { // two are an error already
		a.Texts = append(a.Texts, s)
	}
	return nil
}

// negative returns how long a negative answer may be kept (RFC 2308 section 5):
// without an SOA as long as a failure.
func negative(p *dnsmessage.Parser) time.Duration {
	for {
		h, err := p.AuthorityHeader()
		if err != nil {
			return failureTTL
		}
		if h.Type != dnsmessage.TypeSOA {
			if p.SkipAuthority() != nil {
				return failureTTL
			}
			continue
		}
		soa, err := p.SOAResource()
		if err != nil {
			return failureTTL
		}
		return min(lifetime(h.TTL), lifetime(soa.MinTTL), maxNegative)
	}
}

// lifetime reads a TTL (RFC 2181 section 8).
func lifetime(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return min(time.Duration(ttl)*time.Second, maxTTL)
}
