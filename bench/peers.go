package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	"tlsratchet/internal/mtatest"
	"tlsratchet/peer"
	"tlsratchet/ratchet"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// The public port, as it stands in macros.
const (
	daemonAddr = "127.0.0.1"
	daemonPort = "25"
)

// steadyDays is on how many days, today's included, a steady peer was seen.
const steadyDays = 10

// client returns the nth peer of the made-up world: an address of its own in a
// network of its own (RFC 2544's), and a domain for every four of them.
func client(n int) peer.Client {
	return peer.Client{
		Addr:    fmt.Sprintf("198.%d.%d.%d", 18+n>>8&1, n&255, 10+n>>9),
		Name:    fmt.Sprintf("mx%d.sender%d.example", n%4+1, n/4),
		Resolve: "OK", DaemonAddr: daemonAddr, DaemonPort: daemonPort,
	}
}

// clients returns the first n peers.
func clients(n int) []peer.Client {
	all := make([]peer.Client, n)
	for i := range all {
		all[i] = client(i)
	}
	return all
}

// local returns n clients on loopback, at most 256, as Postfix sees those that
// really connect from there: each in a network of its own.
func local(n int, daemonPort string) (all []peer.Client) {
	for i := range n {
		all = append(all, peer.Client{
			Addr: fmt.Sprintf("127.1.%d.1", i), Name: "unknown", Resolve: "TEMP",
			DaemonAddr: daemonAddr, DaemonPort: daemonPort,
		})
	}
	return all
}

// mail is a message of a client over TLS: 12 headers and 4 KB.
func mail(c peer.Client) mtatest.Message {
	m := mtatest.Message{
		Macros: map[string]string{
			"{tls_version}": "TLSv1.3", "{cipher}": "TLS_AES_256_GCM_SHA384", "{cipher_bits}": "256",
			"{client_addr}": c.Addr, "{client_name}": c.Name, "{client_ptr}": c.Name, "{client_resolve}": c.Resolve,
			"{daemon_addr}": c.DaemonAddr, "{daemon_port}": c.DaemonPort,
			"i": "4XyZ1b2C3dz9", "{mail_addr}": "news@sender.example", "{rcpt_addr}": "ann@ours.example",
		},
		From: "news@sender.example", Args: []string{"SIZE=4711", "BODY=8BITMIME"},
		Rcpts: []string{"ann@ours.example"},
		Body:  bytes.Repeat([]byte("All work and no play makes for sixty-two bytes in every line\r\n"), 66),
	}
	for i := range 12 {
		m.Headers = append(m.Headers, [2]string{fmt.Sprintf("X-Header-%d", i), "a value of the length that headers usually have, or so"})
	}
	return m
}

func mails(all []peer.Client) (out []mtatest.Message) {
	for _, c := range all {
		out = append(out, mail(c))
	}
	return out
}

// sessionOf is what tlsratchet makes of a client's message over TLS.
func sessionOf(c peer.Client, at time.Time) (ratchet.Session, error) {
	p, err := peer.Identify(c)
	security := tlsstate.Security{Level: tlsstate.TLS13, Protocol: "TLSv1.3", Cipher: "TLS_AES_256_GCM_SHA384", Bits: 256}
	return ratchet.Session{At: at, Security: security, Peer: p}, err
}

// newRatchet returns a ratchet with the default policy.
func newRatchet(histories ratchet.Histories) (*ratchet.Ratchet, error) {
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	return ratchet.New(histories, rules, slog.New(slog.DiscardHandler)), err
}

// teach makes a history file in which all clients are steady: seen over TLS on
// each of the last days, today too, so that a message changes nothing.
func teach(ctx context.Context, file string, all []peer.Client, now time.Time) error {
	s, err := store.Open(file, store.Options{})
	if err != nil {
		return err
	}
	r, err := newRatchet(s)
	for ago := steadyDays - 1; ago >= 0 && err == nil; ago-- {
		err = teachDay(r, all, now.AddDate(0, 0, -ago))
	}
	if err == nil {
		err = s.Flush(ctx)
	}
	if closed := s.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("making the history %s: %w", file, err)
	}
	return nil
}

func teachDay(r *ratchet.Ratchet, all []peer.Client, at time.Time) error {
	for _, c := range all {
		s, err := sessionOf(c, at)
		if err != nil {
			return err
		}
		d := r.Decide(&s)
		r.Learn(&s, &d)
	}
	if n := r.Failures(); n > 0 {
		return fmt.Errorf("%d sessions were not learned", n)
	}
	return nil
}
