package shared

import (
	"cmp"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"tlsratchet/tlsstate"
)

// ErrAway: the server did not answer, or would not take a change. What changed
// is kept in the local memory and sent when the server is back; the
// only remedy is to repair the server.
var ErrAway = errors.New("the shared server is away: what changed is kept here, and reaches the other hosts when it is back")

// ErrPartial: the server did not answer, and a list is what this host alone
// knows. Ask again when the server is back, or at the other hosts too.
var ErrPartial = errors.New("the shared server is away: this is what this host alone knows")

// Options say where the server is, and how much may be asked of it. Only URL
// must be set.
type Options struct {
	// URL is one of valkey://[user@]host[:port][/db], valkeys:// for TLS, or
	// unix://[user@]/path[?db=n]; redis:// and rediss:// are the same as the
	// first two. ?addr=host:port, repeatable, names more nodes of a cluster,
	// or more Sentinels where ?master_set=name is there too.
	URL string
	// Password returns the password, and is called for each connecting. Default:
	// that of the URL, or none.
	Password func() (string, error)
	// Roots are the authorities of the server's certificate. Default: the
	// system's.
	Roots *x509.CertPool
	// Prefix begins every key. Hosts of one memory have the same. Default
	// "tlsratchet:".
	Prefix string
	// Timeout is how long a message may wait for the server. Default 50 ms.
	Timeout time.Duration
	// Policy returns the rule that pins of a kind form by, and how long they hold.
	// Default: [tlsstate.DefaultPolicy].
	Policy func(tlsstate.Kind) *tlsstate.Policy
	// Now is the clock. Default: the system's.
	Now func() time.Time
	// Logger gets one line when the server goes, or changes can't be read here, and
	// one when that is over. Default: none.
	Logger *slog.Logger
	// Gather is how long changes gather before they are sent. Default 100 ms.
	Gather time.Duration
	// MaxChanged is how many identities are noted as changed before everything
	// is sent instead. Default 100,000, at about 150 bytes each.
	MaxChanged int
	// Pace is how many histories a second are sent when everything is. Default
	// 1,000.
	Pace int
	// Heartbeat is how often the server is looked after when there is nothing
	// to send. Default 10 s.
	Heartbeat time.Duration
}

func (o Options) withDefaults() Options {
	o.Timeout = cmp.Or(max(o.Timeout, 0), 50*time.Millisecond)
	o.Gather = cmp.Or(max(o.Gather, 0), 100*time.Millisecond)
	o.MaxChanged = cmp.Or(max(o.MaxChanged, 0), 100_000)
	o.Pace = cmp.Or(max(o.Pace, 0), 1000)
	o.Heartbeat = cmp.Or(max(o.Heartbeat, 0), 10*time.Second)
	o.Prefix = cmp.Or(o.Prefix, "tlsratchet:")
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if o.Policy == nil {
		rule := tlsstate.DefaultPolicy()
		o.Policy = func(tlsstate.Kind) *tlsstate.Policy { return &rule }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Stats is what was counted since New.
type Stats struct {
	// Answering reports whether messages may ask the server now, and Taking
	// whether it takes changes.
	Answering, Taking bool
	// Away is how many times the server stopped answering or taking changes.
	Away uint64
	// Commands are all that were sent, but for those that open connections.
	Commands uint64
	// Asked are messages that asked, Late those that waited in vain, and
	// Unasked those that would have while the server was away.
	Asked, Late, Unasked uint64
	// Written are the records that were written there, and Conflicts those that
	// another host had changed meanwhile: they were joined again.
	Written, Conflicts uint64
	// Undecodable are records there that were left alone: damaged, or of a
	// newer version. Refused are those that can't be: dated later than
	// tomorrow. One may count often.
	Undecodable, Refused uint64
	// Sweeps is how many times everything was sent, or began to be.
	Sweeps uint64
	// Evicted is how many keys the server evicted because its memory was full.
	Evicted uint64
	// Panics are those that were caught: bugs of this program.
	Panics uint64
	// Changed is how many identities wait to be sent.
	Changed int
	// Sweeping reports whether everything is being sent.
	Sweeping bool
}
