package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tlsratchet/test/bench/measure"
	"tlsratchet/test/chaos/servers"
)

// The pair of memories.
const (
	nameAlone  = "a memory of its own"
	nameShared = "a shared memory"
)

const sharedWords = `Steady peers over TLS, %d messages a session. One tlsratchet has its history file
alone; that of the other meets those of further hosts on %s,
on this machine, which holds all of it by then. %d rounds.
`

// measureShared measures whether a shared memory costs steady peers anything.
func (r *report) measureShared(ctx context.Context, _ io.Writer) error {
	return inFolder(os.TempDir(), func(dir string) error {
		server, err := startServer(dir)
		if err != nil {
			r.leaveOut("a shared memory", err)
			return nil
		}
		defer server.Stop()
		setups := []setup{{name: nameAlone}, {name: nameShared, config: fmt.Sprintf("shared = %q", server.URL())}}
		return r.duel(ctx, dir, clients(peerCount), setups, func(d *duel) (*pair, error) { return d.shared(ctx, server.Addr) })
	})
}

// shared measures the pair, once the server holds all that there is.
func (d *duel) shared(ctx context.Context, server string) (*pair, error) {
	before, err := full(ctx, server, identities(peerCount))
	if err != nil {
		return nil, err
	}
	p := &pair{title: "A memory that is shared", base: nameAlone}
	p.words = fmt.Sprintf(sharedWords, pairLength, before.version, d.o.pairRounds())
	began := time.Now()
	if p.standings, err = d.run(ctx); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := ask(ctx, server)
	p.aims = []aim{p.unchanged(nameShared), p.sent(before.since(after), d.messages(1), took)}
	return p, err
}

// sent says what the server was sent meanwhile, and is the aim that it be next
// to nothing. All of it counts, whatever it was for.
func (p *pair) sent(commands map[string]int, messages int, took time.Duration) aim {
	n, names := 0, ""
	for _, name := range slices.Sorted(maps.Keys(commands)) {
		n += commands[name]
		names += fmt.Sprintf(", %s %d", name, commands[name])
	}
	p.facts = fmt.Sprintf("In these %.0f seconds, in which %s messages came to it, the server was sent %d commands%s:\n"+
		"every ten seconds it is asked how it is, mail or not.\n",
		took.Seconds(), measure.Count(float64(messages)), n, names)
	per := float64(n) / float64(messages) * 1000
	return aim{"commands to the shared server for 1,000 messages", "under 1", fmt.Sprintf("%.2f", per), per < 1}
}

// startServer starts the first real server that is to be had.
func startServer(dir string) (*servers.Server, error) {
	var errs []error
	for _, kind := range []servers.Kind{servers.Valkey, servers.Redis} {
		s, err := servers.Start(kind, dir)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// identities is how many identities a shared memory holds of so many peers: an
// address and a sender each, a domain for every four.
func identities(peers int) int { return 2*peers + (peers+3)/4 }

// info is what a server says of itself.
type info struct {
	version  string
	keys     int
	commands map[string]int // how often each was called
}

// full waits until the server holds so many identities and is sent no more, and
// returns what it said then.
func full(ctx context.Context, addr string, identities int) (now info, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for quiet := 0; quiet < 5; {
		before := now
		if now, err = ask(ctx, addr); err != nil {
			return info{}, err
		}
		quiet++
		if now.keys < identities || len(before.since(now)) > 0 {
			quiet = 0
		}
		select {
		case <-ctx.Done():
			return info{}, fmt.Errorf("the shared server came to hold %d identities, want %d: %w", now.keys, identities, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
	return now, nil
}

// ask asks a server by a connection of its own: a client would send more than
// it is told to.
func ask(ctx context.Context, addr string) (info, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return info{}, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err = io.WriteString(conn, "INFO all\r\nQUIT\r\n"); err != nil {
		return info{}, err
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		return info{}, err
	}
	return parseInfo(string(text)), nil
}

// parseInfo reads the answer to INFO.
func parseInfo(text string) info {
	i := info{commands: map[string]int{}}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		command, isCommand := strings.CutPrefix(name, "cmdstat_")
		switch {
		case isCommand:
			i.commands[command] = number(value, "calls=")
		case name == "db0":
			i.keys = number(value, "keys=")
		case name == "redis_version" && i.version == "":
			i.version = "Redis " + value
		case name == "valkey_version":
			i.version = "Valkey " + value
		}
	}
	return i
}

// number reads the number behind a word, or 0.
func number(text, word string) int {
	_, rest, _ := strings.Cut(text, word)
	digits, _, _ := strings.Cut(rest, ",")
	n, _ := strconv.Atoi(digits)
	return n
}

// since returns how often commands were called between two answers, but for the
// asking itself: the first INFO and QUIT are told by the second.
func (i info) since(later info) map[string]int {
	called := map[string]int{}
	for name, n := range later.commands {
		n -= i.commands[name]
		if name == "info" || name == "quit" {
			n--
		}
		if n > 0 {
			called[name] = n
		}
	}
	return called
}
