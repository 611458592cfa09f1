package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Limits of one answer. SPF reads 10 MX or PTR, and more MX are an error
// (RFC 7208 section 4.6.4); flattened SPF records have some 2 KB.
const (
	maxNames = 11
	maxText  = 8 << 10
)

// How long answers are used. The standard resolver hides the TTL.
const (
	answerTTL  = 5 * time.Minute
	failureTTL = 10 * time.Second
)

// tries is how many times the servers are asked within the time of a question, so
// that a silent server leaves time for the next one.
const tries = 4

// Exchange asks one question of the network and returns the answer, with the
// time that it may be used for. An error wraps [ErrNotFound] or is a failure;
// its time counts too.
type Exchange func(context.Context, Question) (Answer, time.Duration, error)

// Network returns the Exchange that asks the given server. With the zero AddrPort it
// asks those of resolv.conf, which is read again when it changes.
func Network(server netip.AddrPort) Exchange {
	return func(ctx context.Context, q Question) (Answer, time.Duration, error) {
		r := &net.Resolver{PreferGo: true, Dial: dialer(ctx, server)}
		a, err := ask(ctx, r, q)
		var dns *net.DNSError
		switch {
		case err == nil:
			return a, answerTTL, nil
		case errors.As(err, &dns) && dns.IsNotFound:
			return Answer{}, failureTTL, fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return Answer{}, failureTTL, fmt.Errorf("%w: %w", ErrFailed, err)
	}
}

// dialer connects to the given server, else to the one that the standard resolver
// names. It limits how much of the question's time a silent server may use.
func dialer(question context.Context, server netip.AddrPort) func(ctx context.Context, network, address string) (net.Conn, error) {
	limit := time.Hour
	if deadline, ok := question.Deadline(); ok {
		limit = time.Until(deadline) / tries
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if server.IsValid() {
			address = server.String()
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(question, func() { conn.Close() })
		if udp, ok := conn.(*net.UDPConn); ok {
			return shortConn{udp, time.Now().Add(limit)}, nil
		}
		return conn, nil
	}
}

// shortConn is a UDP socket that waits no longer than until.
type shortConn struct {
	*net.UDPConn
	until time.Time
}

// SetDeadline implements net.Conn.
func (c shortConn) SetDeadline(t time.Time) error {
	if t.After(c.until) {
		t = c.until
	}
	return c.UDPConn.SetDeadline(t)
}

func ask(ctx context.Context, r *net.Resolver, q Question) (a Answer, err error) {
	name := q.Name + "." // the trailing dot keeps search domains away
	switch q.Type {
	case TypeA, TypeAAAA:
		network := "ip4"
		if q.Type == TypeAAAA {
			network = "ip6"
		}
		a.Addrs, err = r.LookupNetIP(ctx, network, name)
	case TypeMX:
		var all []*net.MX
		all, err = r.LookupMX(ctx, name)
		for _, mx := range all[:min(len(all), maxNames)] {
			a.Names = append(a.Names, strings.TrimSuffix(mx.Host, "."))
		}
	case TypePTR:
		var all []string
		all, err = r.LookupAddr(ctx, q.Name)
		for _, host := range all[:min(len(all), maxNames)] {
			a.Names = append(a.Names, strings.TrimSuffix(host, "."))
		}
	case TypeTXT:
		var all []string
		if all, err = r.LookupTXT(ctx, name); err == nil {
			a.Texts, err = spfRecords(all)
		}
	}
	return a, err
}

// spfRecords returns the SPF records among TXT records (RFC 7208 sections 3.3
// and 4.5), at most two: two are an error already.
func spfRecords(all []string) (records []string, err error) {
	for _, text := range all {
		version, _, _ := strings.Cut(text, " ")
		if !strings.EqualFold(version, "v=spf1") {
			continue
		}
		if len(text) > maxText {
			return nil, fmt.Errorf("an SPF record of %d bytes", len(text))
		}
		if len(records) < 2 {
			records = append(records, text)
		}
	}
	return records, nil
}
