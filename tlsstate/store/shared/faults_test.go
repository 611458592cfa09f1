package shared_test

import (
	"testing"
	"time"

	"tlsratchet/test/chaos/servers"
	"tlsratchet/test/storetest"
	"tlsratchet/tlsstate"
)

// Whatever happens to the server: sessions are judged by the local memory
// meanwhile, it is logged once when the server fails and once when it is back, and
// afterwards all hosts know all that any of them saw.
func TestFaults(t *testing.T) {
	for _, kind := range servers.Kinds {
		for _, f := range servers.Faults() {
			t.Run(string(kind)+", "+f.Name, func(t *testing.T) { survive(t, kind, f) })
		}
	}
}

func survive(t *testing.T, kind servers.Kind, f servers.Fault) {
	t.Parallel()
	s := own(t, kind, f.Settings...)
	net := proxy(t, s)
	o := patient(prefix())
	if f.Silent {
		o.Timeout = 10 * time.Second // nothing else shows it
	}
	mx1, mx2 := newHost(t, net.URL(), o).up(), newHost(t, net.URL(), o).up()
	want := map[tlsstate.Identity]tlsstate.History{}
	sees := func(h *host, i int, day tlsstate.Day, l tlsstate.Level) {
		h.sees(peerOf(i), day, l)
		want[peerOf(i)] = tlsstate.Merge(want[peerOf(i)], storetest.Sees(tlsstate.History{}, day, l))
	}
	const peers = 300
	for i := range peers {
		for d := range tlsstate.Day(5) {
			sees([]*host{mx1, mx2}[i%2], i, today-5+d, tlsstate.TLS12)
		}
	}
	mx1.settled()
	mx2.settled()
	before := [2]uint64{mx1.Sharing().Away, mx2.Sharing().Away}

	if err := f.Begin(s, net); err != nil {
		t.Fatal(err)
	}
	for i := range peers {
		sees([]*host{mx1, mx2}[i%2], i, today, tlsstate.TLS13)
		sees([]*host{mx1, mx2}[(i+1)%2], i, today, tlsstate.TLS12)
	}
	for i, h := range []*host{mx1, mx2} {
		h.eventually("the fault noticed", func() bool { s := h.Sharing(); return s.Away > before[i] || s.Evicted > 0 })
	}
	mx1.Refresh(0, peerOf(0))
	if !mx1.holds(peerOf(0)) {
		t.Error("the local memory doesn't hold its pin")
	}
	if err := f.End(s, net); err != nil {
		t.Fatal(err)
	}

	mx1.up()
	mx2.up()
	for i, h := range []*host{mx1, mx2} { // the sweep of the other may come later
		for id, all := range want {
			h.eventually(id.String(), func() bool {
				got := h.knows(id)
				if tlsstate.Merge(got, all) != got {
					h.Refresh(0, id)
				}
				return tlsstate.Merge(got, all) == got
			})
		}
		h.eventually("one line when it went, one when it came", func() bool {
			n := int(h.Sharing().Away)
			return h.log.lines("level=ERROR") == n && h.log.lines("again\"") == n
		})
		// A machine that stalls is as silent as the fault.
		if n := h.Sharing().Away - before[i]; n > 1 && !f.Silent {
			t.Errorf("it went %d times", n)
		}
	}
}

// A server that lost everything gets everything back, from all hosts.
func TestEmptyServerIsFilled(t *testing.T) {
	onBoth(t, func(t *testing.T, s *servers.Server) {
		o := patient(prefix())
		o.Pace = 10_000
		mx1 := newHost(t, s.URL(), o).up()
		for i := range 600 {
			mx1.sees(peerOf(i), today, tlsstate.TLS12)
		}
		mx1.settled()
		for again := range uint64(2) {
			for i := range 600 {
				if _, err := s.Do("DEL", o.Prefix+peerOf(i).String()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Do("DEL", o.Prefix+"generation"); err != nil {
				t.Fatal(err)
			}
			mx1.eventually("filled", func() bool { st := mx1.Sharing(); return st.Written >= 1200+600*again && !st.Sweeping })
			if st := mx1.Sharing(); st.Away != 0 || st.Sweeps != 2+again {
				t.Errorf("%+v", st)
			}
		}
	})
}

// No server at the start: the local memory serves, says so once, and what
// changed is sent when there is one. More changed than can be noted: everything
// is sent.
func TestNoServerAtStart(t *testing.T) {
	s := own(t, servers.Valkey)
	s.Kill()
	o := patient(prefix())
	o.MaxChanged = 10
	mx1 := newHost(t, s.URL(), o)
	for i := range 100 {
		mx1.seesDays(peerOf(i), 5)
	}
	mx1.eventually("logged", func() bool { return mx1.log.lines("does not answer") == 1 })
	if !mx1.holds(peerOf(0)) || mx1.Refresh(0, peerOf(0)) || mx1.Sharing().Unasked != 1 {
		t.Errorf("%+v", mx1.Sharing())
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	mx1.up()
	mx2 := newHost(t, s.URL(), o).up()
	if err := mx2.Pull(t.Context()); err != nil || mx2.Len() != 100 || !mx2.holds(peerOf(99)) {
		t.Errorf("mx2 got %d, %v", mx2.Len(), err)
	}
}
