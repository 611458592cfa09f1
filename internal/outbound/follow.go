package outbound

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"tlsratchet/internal/loop"
	"tlsratchet/internal/maillog"
	"tlsratchet/internal/trouble"
)

// Cursor is a place in Postfix's log. What lies before it was read; what is read
// twice does no harm.
type Cursor struct {
	// Journal is the journal's own, and At its time in microseconds; "" for a
	// file.
	Journal string `json:"journal,omitempty"`
	At      int64  `json:"at,omitempty"`
	// Inode and Offset are of a file, Head and HeadSize a checksum of its first
	// bytes: a copy of it has the same.
	Inode    uint64 `json:"inode,omitempty"`
	Offset   int64  `json:"offset,omitempty"`
	Head     uint32 `json:"head,omitempty"`
	HeadSize int    `json:"head_size,omitempty"`
}

// Follower reads Postfix's log as it is written.
type Follower struct {
	// Source is the path of a file, or a name for the journal, where Journal is set.
	// Without one nothing is read.
	Source  string
	Journal bool
	// Sink receives the deliveries. Required.
	Sink maillog.DeliverySink
	// Wanted reports whether somebody misses what can't be read: Postfix asks us.
	// Required.
	Wanted func() bool
	// Now is the clock, Log where faults are reported. Required.
	Now func() time.Time
	Log *slog.Logger

	lines   atomic.Uint64
	last    atomic.Int64 // unix seconds of the newest line
	cursor  atomic.Pointer[Cursor]
	host    string // label of ours
	fault   atomic.Pointer[string]
	joiner  *maillog.Deliveries
	absent  bool // there was no file at the begin: all of it is new
	drained bool // the file was renamed, and was read to its end
	muted   bool // lines are read that were read before
	reading trouble.State
}

// FollowerStats are what a follower did since its start.
type FollowerStats struct {
	// Lines counts those about deliveries, Last is the time of the newest; zero for
	// none.
	Lines uint64
	Last  time.Time
	// Fault is why nothing is read at present; "" if all is well.
	Fault string
}

// Stats returns the counts as they are now.
func (f *Follower) Stats() (s FollowerStats) {
	s.Lines = f.lines.Load()
	if at := f.last.Load(); at != 0 {
		s.Last = time.Unix(at, 0)
	}
	if why := f.fault.Load(); why != nil {
		s.Fault = *why
	}
	return s
}

// Cursor returns the place up to which lines were read.
func (f *Follower) Cursor() Cursor {
	if c := f.cursor.Load(); c != nil {
		return *c
	}
	return Cursor{}
}

// Begin sets where to read from: a cursor, or without one, or with that of a log of
// the other kind, the end that the log has now. What is logged from now on is read
// by [Follower.Run], however much later that starts.
func (f *Follower) Begin(from Cursor) {
	if f.Source == "" {
		return
	}
	f.reading = trouble.State{
		Level:  slog.LevelWarn,
		Begins: "Postfix's log can't be read: nothing is learned of deliveries",
		Ends:   "Postfix's log is read",
	}
	host, _ := os.Hostname()
	f.host = label(host)
	f.joiner = maillog.NewDeliveries(mutedSink{f})
	if from == (Cursor{}) || f.Journal != (from.At != 0) { // of a log of the other kind
		f.joiner.Gap(f.Now())
		if f.Journal {
			from = Cursor{At: f.Now().UnixMicro()}
		} else {
			from, f.absent = f.end()
		}
	}
	f.cursor.Store(&from)
}

// Run reads on until ctx ends. What goes wrong is reported, and tried again. Call
// Begin before.
func (f *Follower) Run(ctx context.Context) {
	once := f.file
	if f.Journal {
		once = f.journal
	}
	for f.Source != "" && ctx.Err() == nil {
		if err := once(ctx); err != nil && ctx.Err() == nil {
			f.note(err)
			loop.Pause(ctx, faultPoll)
		}
	}
}

// mutedSink passes on what was not read before the last stop. The lines just
// before are read once more: they begin deliveries that end later.
type mutedSink struct{ f *Follower }

func (s mutedSink) Delivered(d *maillog.Delivery) {
	if s.f.joiner.Hosts() > 1 && !strings.EqualFold(label(d.From), s.f.host) {
		d.PID = 0 // a process of this host that asked may have the same number
	}
	if !s.f.muted {
		s.f.Sink.Delivered(d)
	}
}

// label returns the first of a host's name: some log it in full, some not.
func label(host string) string {
	host, _, _ = strings.Cut(host, ".")
	return host
}

func (s mutedSink) Removed(queueID string) {
	if !s.f.muted {
		s.f.Sink.Removed(queueID)
	}
}

// read passes a line to the joiner.
func (f *Follower) read(l *maillog.Line) {
	if f.joiner.Line(l) && !f.muted {
		f.lines.Add(1)
		f.last.Store(l.At.Unix())
	}
}

// note reports a fault, where somebody misses what can't be read, and its end.
func (f *Follower) note(err error) {
	var fault *string
	if err != nil {
		fault = new(err.Error())
	}
	if f.fault.Store(fault); err == nil || f.Wanted() {
		f.reading.Note(f.Log, err, "log", f.Source)
	}
}

// faultPoll is how often a log that can't be read is tried again.
const faultPoll = 5 * time.Second
