package daemon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/config"
	"tlsratchet/internal/loop"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/statefile"
	"tlsratchet/internal/trouble"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
)

// sending is the sending side: it answers Postfix's look-ups, and follows its
// log. Mail needs none of it: what is wrong with it is logged, and the daemon
// goes on.
type sending struct {
	out       *outbound.Outbound
	server    *outbound.Server
	follower  *outbound.Follower
	state     statefile.File
	log       *slog.Logger
	permitted chan struct{} // closed when Postfix's settings are known
	askEvery  time.Duration // the time between two looks at them

	mu      sync.Mutex
	cfg     *config.Config
	allowed bool   // by Postfix's settings, as read last for cfg
	reason  string // why no pin is held, as logged last

	writing sync.Mutex // held while the state is written
	written []byte
	saving  trouble.State
}

// sendingState is what outlives a restart.
type sendingState struct {
	outbound.State
	Cursor outbound.Cursor `json:"cursor,omitzero"`
}

const (
	// keepSending is how often the state is written, if it changed.
	keepSending = 5 * time.Second
	// askPostfix is how often Postfix's settings are read.
	askPostfix = 5 * time.Minute
)

// addSending opens the sockets of the sending side, beside those that systemd
// passed for it. Where it is switched off, there is none.
func (d *Daemon) addSending(cfg *config.Config, passed []net.Listener) error {
	where := cfg.OutboundListen()
	if len(where) == 0 {
		d.hangUp(passed)
		off := alert.OutageNotice(time.Time{}, nil, time.Now()) // of one that a daemon before reported
		off.Title, off.Text, off.Next = "the sending side is switched off", "Whether destinations are reached over TLS is not watched.", nil
		d.watch.notify(off)
		return nil
	}
	s := &sending{
		log: d.log, state: stateFile(cfg, "outbound.json"), cfg: cfg, permitted: make(chan struct{}), askEvery: askPostfix,
		saving: trouble.State{Begins: "could not save the outbound state", Ends: "the outbound state is saved again"},
	}
	s.out = outbound.New(outbound.Options{
		Histories: d.histories, Settings: settings(cfg, outbound.Permission{}), Events: d.watch.book.OnEvent, Outage: d.watch.outage,
		Lines: func() uint64 { return s.follower.Stats().Lines }, Writes: d.ratchet.Writes, Now: time.Now, Log: d.log,
	})
	limits := outbound.DefaultLimits()
	limits.Connections = cfg.Limits.Connections
	s.server = outbound.NewServer(limits, s.out.Answer, d.log)
	s.follower = &outbound.Follower{Journal: cfg.Outbound.Log == config.Journal, Sink: s.out, Wanted: s.out.Asked, Now: time.Now, Log: d.log}
	if cfg.Outbound.Log != config.Off {
		s.follower.Source = cfg.Outbound.Log
	}
	state := restore[sendingState](s.state, "could not read the outbound state; it starts empty", d.log)
	s.out.Restore(state.State)
	s.follower.Begin(state.Cursor)
	d.sending = s
	d.closers = append(d.closers, func() error { s.write(); return nil })
	where = slices.DeleteFunc(where, func(l wire.Spec) bool { return l.Network == wire.NetworkSystemd })
	return d.add(&door{
		name: outboundDoor, where: where, look: d.look, listeners: passed,
		serve: func(l ...net.Listener) error { <-s.permitted; return s.server.Serve(l...) },
		stop:  s.server.Shutdown,
	})
}

func settings(cfg *config.Config, p outbound.Permission) outbound.Settings {
	return outbound.Settings{
		Rules: cfg.RulesFor(tlsstate.Destination), Least: cfg.Outbound.Least, Permission: p,
		ReleaseOnOutage: cfg.Outbound.ReleaseOnOutage,
	}
}

// permit reads what Postfix's own settings allow, and logs what they forbid. Where
// they can't be read, those that were read last hold until a reload.
func (s *sending) permit(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := outbound.PermissionOf(ctx, s.cfg.Outbound.Postfix)
	if ctx.Err() != nil || p.Unread && s.allowed {
		return
	}
	reason := cmp.Or(p.Reason, s.out.Blind())
	switch {
	case reason == s.reason || !wantsHold(s.cfg):
	case reason == "":
		s.log.Info("destinations are held again")
	default:
		s.log.Warn("destinations are not held", "reason", reason)
	}
	s.allowed, s.reason = p.Allowed, reason
	s.out.SetSettings(settings(s.cfg, p))
}

// wantsHold reports whether any mail is to be held.
func wantsHold(cfg *config.Config) bool {
	return cfg.Outbound.Action == config.Hold ||
		slices.ContainsFunc(cfg.Sends, func(r tlsstate.Row) bool { return r.Action != nil && *r.Action == tlsstate.Tempfail })
}

// run follows until ctx ends. Postfix's settings come first, which may take
// postconf(1) a second or more: received mail does not wait for that, and
// look-ups wait in the sockets.
func (s *sending) run(ctx context.Context) {
	if s == nil {
		return
	}
	var keeping sync.WaitGroup
	keeping.Go(func() { loop.Every(ctx, keepSending, nil, s.write) })
	known := sync.OnceFunc(func() { close(s.permitted) })
	keeping.Go(func() { loop.Every(ctx, s.askEvery, nil, func() { s.permit(ctx); known() }) })
	<-s.permitted
	s.follower.Run(ctx)
	keeping.Wait()
}

// write saves the state if it is another one than before. The cursor is not ahead of
// it: what is read twice does no harm, and mail that is read never would wait unlisted.
func (s *sending) write() {
	s.writing.Lock()
	defer s.writing.Unlock()
	state := sendingState{Cursor: s.follower.Cursor(), State: s.out.State()}
	b, err := json.Marshal(state)
	if err == nil && bytes.Equal(b, s.written) {
		return
	}
	if err == nil {
		err = s.state.Write(json.RawMessage(b))
	}
	if s.saving.Note(s.log, err); err == nil {
		s.written = b
	}
}

// reload replaces what a reload may change.
func (s *sending) reload(ctx context.Context, cfg *config.Config) {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.cfg, s.allowed = cfg, false
	s.mu.Unlock()
	s.permit(ctx)
}

// Overview implements [admin.Sending]. It is the zero one where it is off.
func (s *sending) Overview() (o outbound.Overview) {
	if s == nil {
		return o
	}
	o = s.out.Overview()
	asked := s.server.Stats()
	o.Lookups, o.Encrypts = asked.Lookups, asked.Encrypts
	f := s.follower.Stats()
	o.Log, o.LastLine, o.Fault = cmp.Or(s.follower.Source, config.Off), f.Last, f.Fault
	return o
}

// Explain implements [admin.Sending].
func (s *sending) Explain(destination string) (outbound.Explanation, error) {
	return s.out.Explain(destination)
}

// Override implements [admin.Sending].
func (s *sending) Override(wish string) {
	s.out.Override(wish)
	s.write()
}

// outage reports that many destinations began to fail at once, or that it ended.
func (w *watch) outage(o outbound.OutageState) {
	if o.Since.IsZero() {
		w.log.Info("the outage of our own network has ended: destinations are reached over TLS again")
	} else {
		w.log.Error("many destinations fail at once: our own network is at fault, or somebody strips STARTTLS close to us; pins are not worn out, and what is held waits until the release",
			"destinations", len(o.Failing), "release_now", "tlsratchet outbound --set release --why 'REASON'")
	}
	w.notify(alert.OutageNotice(o.Since, o.Names(), time.Now()))
}
