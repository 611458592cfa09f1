package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/ratchet"
	"tlsratchet/test/mtatest"
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

// client is a SMTP client, and who it sends for.
type client struct {
	peer.Client
	from string
}

// stranger returns the nth peer of the made-up world: an address of its own in a
// network of its own (RFC 2544's), a domain for every four of them, and a sender
// of its own.
func stranger(n int) client {
	return client{from: fmt.Sprintf("news@brand%d.example", n), Client: peer.Client{
		Addr:    fmt.Sprintf("198.%d.%d.%d", 18+n>>8&1, n&255, 10+n>>9),
		Name:    fmt.Sprintf("mx%d.sender%d.example", n%4+1, n/4),
		Resolve: "OK", DaemonAddr: daemonAddr, DaemonPort: daemonPort,
	}}
}

// clients returns the first n peers.
func clients(n int) []client {
	all := make([]client, n)
	for i := range all {
		all[i] = stranger(i)
	}
	return all
}

// localSender is in MAIL of all that connect from loopback.
const localSender = "news@sender.example"

// local returns n clients on loopback, at most 256, as Postfix sees those that
// really connect from there: each in a network of its own.
func local(n int, daemonPort string) (all []client) {
	for i := range n {
		all = append(all, client{from: localSender, Client: peer.Client{
			Addr: fmt.Sprintf("127.1.%d.1", i), Name: "unknown", Resolve: "TEMP",
			DaemonAddr: daemonAddr, DaemonPort: daemonPort,
		}})
	}
	return all
}

// mail is a message of a client over TLS: 12 headers and 4 KB.
func mail(c client) mtatest.Message {
	m := mtatest.Message{
		Macros: map[string]string{
			"{tls_version}": "TLSv1.3", "{cipher}": "TLS_AES_256_GCM_SHA384", "{cipher_bits}": "256",
			"{client_addr}": c.Addr, "{client_name}": c.Name, "{client_ptr}": c.Name, "{client_resolve}": c.Resolve,
			"{daemon_addr}": c.DaemonAddr, "{daemon_port}": c.DaemonPort,
			"i": "4XyZ1b2C3dz9", "{mail_addr}": c.from, "{rcpt_addr}": "ann@ours.example",
		},
		From: c.from, Args: []string{"SIZE=4711", "BODY=8BITMIME"},
		Rcpts: []string{"ann@ours.example"},
		Body:  bytes.Repeat([]byte("All work and no play makes for sixty-two bytes in every line\r\n"), 66),
	}
	for i := range 12 {
		m.Headers = append(m.Headers, [2]string{fmt.Sprintf("X-Header-%d", i), "a value of the length that headers usually have, or so"})
	}
	return m
}

// inClear is the same message without TLS.
func inClear(m mtatest.Message) mtatest.Message {
	m.Macros = maps.Clone(m.Macros)
	for _, name := range []string{"{tls_version}", "{cipher}", "{cipher_bits}"} {
		delete(m.Macros, name)
	}
	return m
}

func mails(all []client) (out []mtatest.Message) {
	for _, c := range all {
		out = append(out, mail(c))
	}
	return out
}

// sessionOf is what tlsratchet makes of a client's message over TLS.
func sessionOf(c client, at time.Time) (ratchet.Session, error) {
	p, err := peer.Identify(c.Client)
	security := tlsstate.Security{Level: tlsstate.TLS13, Protocol: "TLSv1.3", Cipher: "TLS_AES_256_GCM_SHA384", Bits: 256}
	return ratchet.Session{At: at, Security: security, Peer: p, From: c.from}, err
}

// newRatchet returns a ratchet with the default policy, to which every sender is
// proven.
func newRatchet(histories ratchet.Histories) (*ratchet.Ratchet, error) {
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	return ratchet.New(ratchet.Options{Histories: histories, Rules: rules, Senders: proven{}, Log: slog.New(slog.DiscardHandler)}), err
}

// proven proves all senders, at once.
type proven struct{}

// Prove says so.
func (proven) Prove(context.Context, spf.Claim) spf.Result { return spf.Proven }

// Learn learns at once.
func (proven) Learn(_ spf.Claim, learn func()) bool { learn(); return true }

// Tried says that nothing was tried in vain.
func (proven) Tried(spf.Claim) bool { return false }

// teach makes a history file in which all clients are steady: seen over TLS on
// each of the last days, today too, so that a message changes nothing.
func teach(ctx context.Context, file string, all []client, now time.Time) error {
	s, err := store.Open(file, store.Options{ReadTimeout: time.Minute}) // reads wait for the writer here
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

func teachDay(r *ratchet.Ratchet, all []client, at time.Time) error {
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
