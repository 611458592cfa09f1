package shared

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valkey-io/valkey-go"

	"tlsratchet/tlsstate"
)

// How long the server may take for what no message waits for: see patience.
const (
	dialTimeout  = time.Second
	replyTimeout = 2 * time.Second
)

// patience returns d, or how long a message may wait where that is longer.
func (o *Options) patience(d time.Duration) time.Duration { return max(d, o.Timeout) }

// reply is how long an answer may take.
func (o *Options) reply() time.Duration { return o.patience(replyTimeout) }

// swapScript writes a record if the one that was read is still there: one byte
// more would be another. It returns 1, or 0 if another host was quicker.
const swapScript = `if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1`

// server is a connected Valkey or Redis.
type server struct {
	client   valkey.Client
	commands *atomic.Uint64
}

// clientOption returns how to connect. It reads the password.
func clientOption(o *Options) (valkey.ClientOption, error) {
	c, err := valkey.ParseURL(o.URL)
	if err != nil {
		return c, fmt.Errorf("address of the shared server: %w", err)
	}
	if o.Password != nil {
		if c.Password, err = o.Password(); err != nil {
			return c, fmt.Errorf("password of the shared server: %w", err)
		}
	}
	if c.TLSConfig != nil {
		c.TLSConfig.MinVersion, c.TLSConfig.RootCAs = tls.VersionTLS12, o.Roots
	}
	c.Dialer.Timeout = o.patience(dialTimeout)
	c.Dialer.KeepAlive = o.Heartbeat
	c.ConnWriteTimeout = o.reply()
	c.ReadBufferEachConn, c.WriteBufferEachConn = 1<<16, 1<<16
	c.DisableCache = true     // a record is asked for once
	c.DisableRetry = true     // we do, when it is time
	c.AlwaysPipelining = true // so that a late answer costs no connection
	c.PipelineMultiplex = -1  // one connection a node
	c.Sentinel.Dialer, c.Sentinel.TLSConfig = c.Dialer, c.TLSConfig
	c.Sentinel.TopologyRefreshInterval = 5 * time.Second
	c.ClusterOption.MaxMovedRedirections = 5
	c.DialCtxFn = guardDial(&c)
	return c, nil
}

// dial connects to the server that the options name. It takes no longer than a
// few seconds.
func dial(o *Options, commands *atomic.Uint64) (*server, error) {
	option, err := clientOption(o)
	if err != nil {
		return nil, err
	}
	client, err := valkey.NewClient(option)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return &server{client, commands}, nil
}

// do sends commands together.
func (v *server) do(ctx context.Context, commands []valkey.Completed) []valkey.ValkeyResult {
	v.commands.Add(uint64(len(commands)))
	return v.client.DoMulti(ctx, commands...)
}

// longest is how much of a value is read: enough to see that it is too long for
// a record. Another host, or who has its password, may have put 512 MB there.
const longest = tlsstate.MaxRecord + 1

func (v *server) getrange(key string) valkey.Completed {
	return v.client.B().Getrange().Key(key).Start(0).End(longest - 1).Build()
}

// get returns the values of keys, as far as the longest, "" for those that
// aren't there. A key that holds something else has the value mistaken.
func (v *server) get(ctx context.Context, keys []string) ([]string, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	commands := make([]valkey.Completed, len(keys))
	for i, key := range keys {
		commands[i] = v.getrange(key)
	}
	values := make([]string, len(keys))
	for i, r := range v.do(ctx, commands) {
		var err error
		if values[i], err = textOf(r); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// textOf returns the value in an answer to GETRANGE.
func textOf(r valkey.ValkeyResult) (string, error) {
	value, err := r.ToString()
	switch {
	case err == nil:
		return value, nil
	case strings.HasPrefix(err.Error(), "WRONGTYPE"):
		return mistaken, nil
	}
	return "", fmt.Errorf("reading: %w", err)
}

// mistaken stands for a value that is no string. It is no record.
const mistaken = "?"

// swap is a change to be made: the record of an identity from what it was to what
// it is to be, for so many seconds.
type swap struct {
	id           tlsstate.Identity
	key, was, is string
	life         int64
}

// swap makes changes. It returns how many were made, and the identities of those
// that were not because the record was another. An error says that some were not
// sent, or not taken.
func (v *server) swap(ctx context.Context, changes []swap) (made uint64, again []tlsstate.Identity, err error) {
	commands := make([]valkey.Completed, len(changes))
	for i, c := range changes {
		commands[i] = v.client.B().Eval().Script(swapScript).Numkeys(1).Key(c.key).
			Arg(c.was, c.is, strconv.FormatInt(c.life, 10)).Build()
	}
	for i, r := range v.do(ctx, commands) {
		switch n, failed := r.AsInt64(); {
		case failed != nil:
			err = cmp.Or(err, fmt.Errorf("writing: %w", failed))
		case n == 1:
			made++
		default:
			again = append(again, changes[i].id)
		}
	}
	return made, again, err
}

// mark leaves a mark on a server that has none, and returns the one that is
// there then: "" where it can't be written, as on a replica.
func (v *server) mark(ctx context.Context, key string) (string, error) {
	r := v.do(ctx, []valkey.Completed{v.client.B().Set().Key(key).Value(rand.Text()).Nx().Build(), v.getrange(key)})
	return textOf(r[1])
}

// node is a master: the run that it is in, and how many keys it evicted.
type node struct {
	client  valkey.Client
	run     string
	evicted uint64
}

// masters returns the nodes that hold the keys, as they report: no nodes
// where none is a master, and all where they don't report it. complete says that
// each one answered.
func (v *server) masters(ctx context.Context) (found []node, complete bool) {
	complete = true
	for _, client := range v.client.Nodes() {
		v.commands.Add(1)
		text, err := client.Do(ctx, client.B().Info().Build()).ToString()
		if _, refused := valkey.IsValkeyErr(err); err != nil && !refused {
			complete = false
			continue
		}
		info := parseInfo(text)
		if role := info["role"]; role != "" && role != "master" {
			continue
		}
		evicted, _ := strconv.ParseUint(info["evicted_keys"], 10, 64)
		found = append(found, node{client, info["run_id"], evicted})
	}
	return found, complete
}

// parseInfo takes the lines of INFO apart.
func parseInfo(text string) map[string]string {
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

// scan calls fn with all keys that begin with the prefix, some at a time, and
// some maybe twice.
func (v *server) scan(ctx context.Context, prefix string, fn func(keys []string) error) error {
	masters, complete := v.masters(ctx)
	if len(masters) == 0 || !complete {
		return errors.New("listing: not all nodes answer")
	}
	for _, m := range masters {
		for cursor := uint64(0); ; {
			v.commands.Add(1)
			page, err := m.client.Do(ctx, m.client.B().Scan().Cursor(cursor).Match(escape(prefix)+"*").Count(scanCount).Build()).AsScanEntry()
			if err != nil {
				return fmt.Errorf("listing: %w", err)
			}
			if err := fn(page.Elements); err != nil {
				return err
			}
			if cursor = page.Cursor; cursor == 0 {
				break
			}
		}
	}
	return nil
}

const scanCount = 500

// escape makes a pattern that means the text.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}
