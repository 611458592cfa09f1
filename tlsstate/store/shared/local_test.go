package shared_test

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tlsratchet/test/chaos/servers"
	"tlsratchet/test/storetest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

// faulty is a local store that fails.
type faulty struct {
	*store.Memory
	reads, lists, bug, readBug atomic.Bool
}

var errDisk = errors.New("input/output error")

func (f *faulty) Load(id tlsstate.Identity) (tlsstate.History, error) {
	if f.readBug.Load() {
		panic("a bug")
	}
	if f.reads.Load() {
		return tlsstate.History{}, errDisk
	}
	return f.Memory.Load(id)
}

func (f *faulty) Update(id tlsstate.Identity, client netip.Addr, day tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	if f.bug.Load() {
		panic("a bug")
	}
	return f.Memory.Update(id, client, day, grow)
}

func (f *faulty) All(start tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error) {
	if f.lists.Load() {
		return func(func(tlsstate.Identity, tlsstate.History) bool) {}, func() error { return errDisk }
	}
	return f.Memory.All(start)
}

// A change that can't be read is kept, and sent when it can; it is not the
// server's fault, keeps no other from being sent, and is logged once.
func TestAChangeThatCannotBeRead(t *testing.T) {
	s, o := steady[servers.Valkey], patient(prefix())
	mx2 := newHost(t, s.URL(), o).up()
	mx2.seesDays(peerOf(2), 2)
	mx2.settled()
	o.Heartbeat, o.Gather = time.Hour, time.Hour
	local := &faulty{Memory: store.NewMemory(100)}
	mx1 := newHostOn(t, local, s.URL(), o).up()
	mx1.seesDays(peerOf(1), 5)
	mx1.seesDays(peerOf(2), 5)
	local.reads.Store(true)
	for range 2 {
		if err := mx1.Flush(t.Context()); !errors.Is(err, errDisk) {
			t.Errorf("Flush: %v", err)
		}
	}
	mx1.Refresh(0, peerOf(1))
	if st := mx1.Sharing(); st.Changed == 0 || st.Away != 0 || !st.Answering || !st.Taking || mx1.log.lines("changes not sent") != 1 {
		t.Errorf("%+v", st)
	}
	if mx2.Refresh(0, peerOf(2)); !mx2.holds(peerOf(2)) {
		t.Error("the other change was not sent")
	}
	local.reads.Store(false)
	mx1.eventually("sent", func() bool { return mx1.Flush(t.Context()) == nil })
	if mx2.Refresh(0, peerOf(1)); !mx2.holds(peerOf(1)) || mx1.log.lines("can be read again") != 1 {
		t.Error("it was never sent")
	}
}

// What the server does not take is no conflict with another host.
func TestAChangeThatIsRefused(t *testing.T) {
	s := own(t, servers.Valkey)
	mx1 := newHost(t, s.URL(), patient(prefix())).up()
	if _, err := s.Do("CONFIG", "SET", "maxmemory", "1"); err != nil {
		t.Fatal(err)
	}
	mx1.seesDays(peerOf(1), 5)
	if err := mx1.Flush(t.Context()); !errors.Is(err, shared.ErrAway) {
		t.Errorf("Flush: %v", err)
	}
	if st := mx1.Sharing(); st.Taking || !st.Answering || st.Conflicts != 0 || st.Changed != 1 {
		t.Errorf("%+v", st)
	}
	if _, err := s.Do("CONFIG", "SET", "maxmemory", "0"); err != nil {
		t.Fatal(err)
	}
	mx1.up()
}

// While not everything can be read or listed, what is sent at the start waits.
func TestALocalStoreThatFailsAtTheStart(t *testing.T) {
	for name, fault := range map[string]func(*faulty) *atomic.Bool{
		"reads": func(f *faulty) *atomic.Bool { return &f.reads },
		"lists": func(f *faulty) *atomic.Bool { return &f.lists },
	} {
		t.Run(name, func(t *testing.T) {
			s, o := steady[servers.Redis], patient(prefix())
			o.Pace = 10_000
			local := &faulty{Memory: store.NewMemory(4000)}
			for i := range 300 {
				if _, err := local.Update(peerOf(i), netip.Addr{}, today, func(tlsstate.History) tlsstate.History {
					return storetest.Sees(tlsstate.History{}, today, tlsstate.TLS12)
				}); err != nil {
					t.Fatal(err)
				}
			}
			fault(local).Store(true)
			mx1 := newHostOn(t, local, s.URL(), o)
			mx1.eventually("logged", func() bool { return mx1.log.lines("changes not sent") > 0 })
			fault(local).Store(false)
			mx1.up()
			mx2 := newHost(t, s.URL(), patient(o.Prefix)).up()
			if err := mx2.Pull(t.Context()); err != nil || mx2.Len() != 300 {
				t.Errorf("%d were sent, %v", mx2.Len(), err)
			}
		})
	}
}

// A bug in what a message asks for costs that answer alone.
func TestAPanicCostsOneAnswer(t *testing.T) {
	s, o := steady[servers.Valkey], patient(prefix())
	local := &faulty{Memory: store.NewMemory(100)}
	mx1, mx2 := newHostOn(t, local, s.URL(), o).up(), newHost(t, s.URL(), o).up()
	mx2.seesDays(peerOf(1), 5)
	mx2.settled()
	local.bug.Store(true)
	if mx1.Refresh(0, peerOf(1)) || mx1.log.lines("query to the shared server failed") != 1 {
		t.Errorf("log: %s", mx1.log.text.String())
	}
	if mx1.log.lines("error=\"panic: a bug\" stack=") != 1 || mx1.Sharing().Panics != 1 {
		t.Errorf("log: %s", mx1.log.text.String())
	}
	local.bug.Store(false)
	mx1.eventually("it is asked again", func() bool { mx1.Refresh(0, peerOf(1)); return mx1.holds(peerOf(1)) })
}

// A bug in what the loop does is as a server that takes nothing: the daemon lives,
// the stack is logged once, and what changed is sent once the bug is gone.
func TestAPanicInTheLoop(t *testing.T) {
	for name, bug := range map[string]func(*faulty) *atomic.Bool{
		"as it reads": func(f *faulty) *atomic.Bool { return &f.readBug },
		"as it joins": func(f *faulty) *atomic.Bool { return &f.bug },
	} {
		t.Run(name, func(t *testing.T) {
			s, o := steady[servers.Valkey], patient(prefix())
			mx2 := newHost(t, s.URL(), o).up()
			mx2.seesDays(peerOf(1), 5)
			mx2.settled()
			o.Heartbeat, o.Gather = time.Hour, time.Hour
			local := &faulty{Memory: store.NewMemory(100)}
			mx1 := newHostOn(t, local, s.URL(), o).up()
			for i := range 3 { // the server has one of them
				mx1.seesDays(peerOf(i), 2)
			}
			bug(local).Store(true)
			for range 3 {
				if err := mx1.Flush(t.Context()); !errors.Is(err, shared.ErrAway) {
					t.Errorf("Flush: %v", err)
				}
			}
			n := mx1.Sharing()
			if n.Panics < 3 || n.Taking || mx1.log.lines("stack=") != 1 || mx1.log.lines("takes no changes") != 1 {
				t.Errorf("log: %s", mx1.log.text.String())
			}
			bug(local).Store(false)
			mx1.up()
			mx2.Refresh(0, peerOf(0), peerOf(2))
			if !mx1.holds(peerOf(1)) || mx2.knows(peerOf(0)) != mx1.knows(peerOf(0)) || mx2.knows(peerOf(2)) != mx1.knows(peerOf(2)) {
				t.Errorf("once it is gone: %s", mx1.log.text.String())
			}
		})
	}
}

// busy is a local store of which the writer is behind.
type busy struct {
	*store.Memory
	flushes atomic.Int64
}

func (b *busy) Stats() store.Stats { return store.Stats{Pending: 10_000} }

func (b *busy) Flush(ctx context.Context) error {
	b.flushes.Add(1)
	return b.Memory.Flush(ctx)
}

// A pull does not run ahead of the local writer, which would drop strangers.
func TestPullWaitsForTheWriter(t *testing.T) {
	s, o := steady[servers.Valkey], patient(prefix())
	mx2 := newHost(t, s.URL(), o).up()
	mx2.sees(peerOf(1), today, tlsstate.TLS12)
	mx2.settled()
	o.Heartbeat, o.Gather = time.Hour, time.Hour
	local := &busy{Memory: store.NewMemory(100)}
	mx1 := newHostOn(t, local, s.URL(), o).up()
	before := local.flushes.Load()
	if err := mx1.Pull(t.Context()); err != nil || mx1.Len() != 1 || local.flushes.Load() == before {
		t.Errorf("%d known, %v, %d flushes", mx1.Len(), err, local.flushes.Load()-before)
	}
}

// A message waits as long as it may, and those after it not at all until the
// server answers again.
func TestALateAnswer(t *testing.T) {
	o := shared.Options{Prefix: prefix(), Timeout: time.Second, Heartbeat: time.Hour}
	net := proxy(t, steady[servers.Redis])
	mx1 := newHost(t, net.URL(), o).up()
	net.Partition()
	for range 2 {
		if mx1.Refresh(0, peerOf(1)) {
			t.Error("news from nobody")
		}
	}
	if st := mx1.Sharing(); st.Late != 1 || st.Asked != 1 || st.Unasked != 1 || st.Answering {
		t.Errorf("%+v", st)
	}
	net.Heal()
	mx1.up()
}

// What another host changes between reading and writing is joined again,
// whatever else is in the group.
func TestAConflictInAGroup(t *testing.T) {
	s, o := steady[servers.Valkey], patient(prefix())
	last := peerOf(20)
	mx2 := newHost(t, s.URL(), o).up()
	for i := range 20 {
		mx2.sees(peerOf(i), today, tlsstate.TLS12)
	}
	mx2.sees(last, today-1, tlsstate.TLS12)
	mx2.settled()

	o.Heartbeat, o.Gather = time.Hour, time.Hour
	var armed atomic.Bool
	o.Policy = func(kind tlsstate.Kind) *tlsstate.Policy { // is asked for after reading, before writing
		if armed.Swap(false) {
			mx2.sees(last, today-2, tlsstate.TLS12)
			mx2.settled()
		}
		return rule(kind)
	}
	mx1 := newHost(t, s.URL(), o).up()
	for i := range 20 {
		mx1.sees(peerOf(i), today, tlsstate.TLS12) // as the server has it
	}
	mx1.sees(last, today, tlsstate.TLS12)
	armed.Store(true)
	if err := mx1.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	record, err := s.Do("GET", o.Prefix+last.String())
	h, derr := tlsstate.Decode([]byte(record))
	if err != nil || derr != nil || h != mx1.knows(last) || h.Seen[tlsstate.TLS12] != 7 || mx1.Sharing().Conflicts != 1 {
		t.Errorf("%+v, %v, %v\n%+v", h, err, derr, mx1.Sharing())
	}
}

// After Close no connection is left.
func TestCloseDisconnects(t *testing.T) {
	s := own(t, servers.Valkey)
	clients := func() int {
		list, err := s.Do("CLIENT", "LIST")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(list, "\n")
	}
	before := clients()
	mx1 := newHost(t, s.URL(), patient(prefix())).up()
	if clients() <= before {
		t.Error("no connection: this test shows nothing")
	}
	if err := mx1.Close(); err != nil {
		t.Fatal(err)
	}
	mx1.eventually("disconnected", func() bool { return clients() <= before })
}
