package shared_test

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tlsratchet/test/chaos/servers"
	"tlsratchet/test/storetest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store/shared"
)

// patient never gives an answer up: these tests are about answers.
func patient(prefix string) shared.Options {
	return shared.Options{Prefix: prefix, Timeout: patience}
}

// two returns two hosts of one memory.
func two(t *testing.T, s *servers.Server) (mx1, mx2 *host) {
	t.Helper()
	o := patient(prefix())
	return newHost(t, s.URL(), o).up(), newHost(t, s.URL(), o).up()
}

// A change goes a moment later, and waits for no heartbeat.
func TestAChangeIsSentAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, s *servers.Server) {
		o := patient(prefix())
		o.Heartbeat = time.Hour
		mx1 := newHost(t, s.URL(), o).up()
		for i := range uint64(3) {
			mx1.sees(peerOf(int(i)), today, tlsstate.TLS12)
			mx1.eventually("sent", func() bool { return mx1.Sharing().Written == i+1 })
		}
	})
}

func TestLearnedHereHeldThere(t *testing.T) {
	onBoth(t, func(t *testing.T, s *servers.Server) {
		mx1, mx2 := two(t, s)
		mx1.seesDays(peerOf(1), 5)
		mx1.settled()
		if mx2.knows(peerOf(1)) != (tlsstate.History{}) {
			t.Error("mx2 knew before it asked")
		}
		if !mx2.Refresh(time.Minute, tlsstate.Identity{}, peerOf(1)) || !mx2.holds(peerOf(1)) {
			t.Errorf("mx2 doesn't hold the peer: %+v", mx2.knows(peerOf(1)))
		}
		if mx2.Refresh(time.Minute, peerOf(1)) || mx2.Sharing().Asked != 1 {
			t.Errorf("asked again within a minute: %+v", mx2.Sharing())
		}
		if mx2.Refresh(0, peerOf(1)); mx2.Sharing().Asked != 2 {
			t.Errorf("not asked at once: %+v", mx2.Sharing())
		}
	})
}

// A pin forms of days that no host saw enough of alone.
func TestPinFormsOnTheJoinedRecord(t *testing.T) {
	mx1, mx2 := two(t, steady[servers.Valkey])
	for d := range tlsstate.Day(3) {
		mx1.sees(peerOf(1), today-2*d, tlsstate.TLS12)
		mx2.sees(peerOf(1), today-2*d-1, tlsstate.TLS13)
	}
	if mx1.holds(peerOf(1)) || mx2.holds(peerOf(1)) {
		t.Fatal("a pin of three days")
	}
	mx1.settled()
	mx2.settled()
	mx1.Refresh(0, peerOf(1))
	mx2.Refresh(0, peerOf(1))
	if !mx1.holds(peerOf(1)) || mx1.knows(peerOf(1)) != mx2.knows(peerOf(1)) {
		t.Errorf("not held by all:\n%+v\n%+v", mx1.knows(peerOf(1)), mx2.knows(peerOf(1)))
	}
}

// What one host knows against a pin that formed elsewhere counts.
func TestContestedByAnother(t *testing.T) {
	mx1, mx2 := two(t, steady[servers.Valkey])
	mx2.sees(peerOf(1), today-10, tlsstate.Plaintext)
	mx2.settled()
	mx1.seesDays(peerOf(1), 6)
	mx1.settled()
	if mx1.holds(peerOf(1)) {
		t.Errorf("held to what is contested: %+v", mx1.knows(peerOf(1)))
	}
}

func TestUnpinAndForgetReachAll(t *testing.T) {
	for name, act := range acts {
		t.Run(name, func(t *testing.T) {
			mx1, mx2 := two(t, steady[servers.Valkey])
			mx1.seesDays(peerOf(1), 6)
			mx1.settled()
			mx2.Refresh(0, peerOf(1))
			if !mx2.holds(peerOf(1)) {
				t.Fatal("mx2 doesn't hold the peer")
			}
			mx1.do(peerOf(1), act)
			if err := mx1.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !mx2.Refresh(0, peerOf(1)) || mx2.holds(peerOf(1)) {
				t.Errorf("mx2 still holds the peer: %+v", mx2.knows(peerOf(1)))
			}
			mx2.sees(peerOf(1), today, tlsstate.TLS12)
			mx2.settled()
			if mx1.Refresh(0, peerOf(1)); mx1.holds(peerOf(1)) {
				t.Error("the pin is back")
			}
		})
	}
}

var acts = map[string]func(tlsstate.History, tlsstate.Day) tlsstate.History{
	"unpin":  tlsstate.History.Unpin,
	"forget": tlsstate.History.Forget,
}

// A host that was away for a day with the old pin doesn't bring it back.
func TestBackFromAPartition(t *testing.T) {
	for name, act := range acts {
		t.Run(name, func(t *testing.T) {
			s := steady[servers.Redis]
			o, away := patient(prefix()), proxy(t, s)
			mx1, mx3 := newHost(t, s.URL(), o).up(), newHost(t, away.URL(), o).up()
			mx1.seesDays(peerOf(1), 6)
			mx1.settled()
			mx3.Refresh(0, peerOf(1))
			away.Partition()
			mx1.do(peerOf(1), act)
			mx1.settled()
			mx3.sees(peerOf(1), today+1, tlsstate.TLS12)
			if !mx3.holds(peerOf(1)) {
				t.Fatal("mx3 knows of it without a network")
			}
			away.Heal()
			mx3.up()
			mx1.Refresh(0, peerOf(1))
			if mx3.holds(peerOf(1)) || mx1.holds(peerOf(1)) || mx1.knows(peerOf(1)) != mx3.knows(peerOf(1)) {
				t.Errorf("after the partition:\nmx1 %+v\nmx3 %+v", mx1.knows(peerOf(1)), mx3.knows(peerOf(1)))
			}
		})
	}
}

// What the server lacks, or has less of, is noticed by whoever asks, and sent.
func TestWhatTheServerLacksIsSent(t *testing.T) {
	s := steady[servers.Valkey]
	o := patient(prefix())
	mx1 := newHost(t, s.URL(), o).up()
	key := o.Prefix + peerOf(1).String()
	mx1.sees(peerOf(1), today-1, tlsstate.TLS12)
	mx1.settled()
	less, err := s.Do("GET", key)
	if err != nil {
		t.Fatal(err)
	}
	mx1.seesDays(peerOf(1), 5)
	mx1.settled()
	for _, lose := range [][]string{{"DEL", key}, {"SET", key, less}} {
		if _, err := s.Do(lose...); err != nil {
			t.Fatal(err)
		}
		mx1.Refresh(0, peerOf(1))
		mx1.eventually("it is there again", func() bool {
			record, err := s.Do("GET", key)
			h, derr := tlsstate.Decode([]byte(record))
			return err == nil && derr == nil && h == mx1.knows(peerOf(1))
		})
	}
}

// An answer that fails shows that the server is away, before the next heartbeat.
func TestAFailedAnswerIsNoticed(t *testing.T) {
	s := own(t, servers.Valkey)
	o := patient(prefix())
	o.Heartbeat = time.Hour
	mx1 := newHost(t, s.URL(), o).up()
	s.Kill()
	mx1.Refresh(0, peerOf(1))
	mx1.eventually("logged", func() bool { return mx1.log.lines("does not answer") == 1 })
	if mx1.Refresh(0, peerOf(1)); mx1.Sharing().Unasked != 1 {
		t.Errorf("asked while it is away: %+v", mx1.Sharing())
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	mx1.up()
}

// A listener is a host's own: two hosts behind NAT may both be 10.0.0.5:25.
func TestListenersStayAtHome(t *testing.T) {
	mx1, mx2 := two(t, steady[servers.Valkey])
	listener := tlsstate.Identity{Kind: tlsstate.Listener, Name: "10.0.0.5:25"}
	mx1.sees(listener, today, tlsstate.TLS13)
	mx1.settled()
	if mx2.Refresh(0, listener) || mx2.Sharing().Asked != 0 || mx1.Sharing().Written != 0 {
		t.Errorf("it was shared: %+v, %+v", mx1.Sharing(), mx2.Sharing())
	}
}

// A thousand messages of known peers cost no command, whatever the peer.
func TestSteadyStateSendsNothing(t *testing.T) {
	o := patient(prefix())
	o.Heartbeat = time.Hour
	mx1 := newHost(t, steady[servers.Valkey].URL(), o).up()
	for i := range 10 {
		mx1.seesDays(peerOf(i), 6)
	}
	mx1.settled()
	before := mx1.Sharing().Commands
	for i := range 1000 {
		mx1.sees(peerOf(i%10), today, tlsstate.TLS12)
		mx1.knows(peerOf(i % 10))
	}
	mx1.settled()
	if n := mx1.Sharing().Commands - before; n != 0 {
		t.Errorf("%d commands", n)
	}
}

// Changes go in groups: two commands for each history, however often it
// changed meanwhile.
func TestChangesGather(t *testing.T) {
	o := patient(prefix())
	o.Heartbeat = time.Hour
	mx1 := newHost(t, steady[servers.Valkey].URL(), o).up()
	before := mx1.Sharing()
	for i := range 600 {
		mx1.sees(peerOf(i), today, tlsstate.TLS12)
	}
	mx1.settled()
	if s := mx1.Sharing(); s.Written-before.Written != 600 || s.Commands-before.Commands < 1200 || s.Commands-before.Commands > 1300 {
		t.Errorf("600 changes: %d written, by %d commands", s.Written-before.Written, s.Commands-before.Commands)
	}
}

// How long the server keeps a record.
func TestExpiry(t *testing.T) {
	s := steady[servers.Redis]
	o := patient(prefix())
	mx1 := newHost(t, s.URL(), o).up()
	tests := []struct {
		name string
		make func(tlsstate.Identity)
		days int
	}{
		{"seen today", func(id tlsstate.Identity) { mx1.sees(id, today, tlsstate.TLS12) }, 64},
		{"seen ten days ago", func(id tlsstate.Identity) { mx1.sees(id, today-10, tlsstate.TLS12) }, 54},
		{"seen long ago", func(id tlsstate.Identity) { mx1.sees(id, today-100, tlsstate.TLS12) }, 1},
		{"pinned", func(id tlsstate.Identity) { mx1.seesDays(id, 5) }, 180},
		{"unpinned", func(id tlsstate.Identity) { mx1.seesDays(id, 5); mx1.do(id, tlsstate.History.Unpin) }, 360},
		{"forgotten", func(id tlsstate.Identity) { mx1.seesDays(id, 5); mx1.do(id, tlsstate.History.Forget) }, 360},
	}
	for i, tt := range tests {
		began := time.Now()
		tt.make(peerOf(i))
		mx1.settled()
		text, err := s.Do("TTL", o.Prefix+peerOf(i).String())
		left, _ := strconv.Atoi(text)
		if want := tt.days * 86400; err != nil || left > want || left < want-1-int(time.Since(began).Seconds()) {
			t.Errorf("%s: %d s left, %v; want %d", tt.name, left, err, want)
		}
	}
}

// What the server holds that can't be is left alone, counted, logged once, and
// stops nothing else.
func TestWrongRecords(t *testing.T) {
	onBoth(t, func(t *testing.T, s *servers.Server) {
		o := patient(prefix())
		future, _ := storetest.Sees(tlsstate.History{}, today+30, tlsstate.TLS13).AppendBinary(nil)
		newer := append([]byte(nil), future...)
		newer[0] = 99
		values := []string{"garbage", strings.Repeat("x", 1<<16), string(newer), string(future), "?"}
		for i, v := range values {
			if _, err := s.Do("SET", o.Prefix+peerOf(i).String(), v); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Do("LPUSH", o.Prefix+peerOf(5).String(), "a", "list"); err != nil {
			t.Fatal(err)
		}
		mx1 := newHost(t, s.URL(), o).up()
		for i := range 7 {
			mx1.sees(peerOf(i), today, tlsstate.TLS12)
		}
		mx1.settled()
		for i, want := range values {
			if got, err := s.Do("GET", o.Prefix+peerOf(i).String()); err != nil || got != want {
				t.Errorf("record %d was touched: %q, %v", i, got, err)
			}
		}
		if st := mx1.Sharing(); st.Undecodable != 5 || st.Refused != 1 || st.Written != 1 || !st.Answering || !st.Taking || mx1.log.lines("left alone") != 1 {
			t.Errorf("%+v", st)
		}
		for i := range 6 {
			if mx1.Refresh(0, peerOf(i)); mx1.knows(peerOf(i)).Last != today {
				t.Errorf("the local memory of %d: %+v", i, mx1.knows(peerOf(i)))
			}
		}
		// An operator's act goes over a record from the future, as it wins whole.
		mx1.do(peerOf(3), tlsstate.History.Forget)
		mx1.settled()
		if got, _ := s.Do("GET", o.Prefix+peerOf(3).String()); got == values[3] {
			t.Error("forget left the record from the future")
		}
		// Of a record that can't be read it is known that others don't follow.
		for i := range 7 {
			mx1.do(peerOf(i), tlsstate.History.Unpin)
		}
		mx1.settled()
		for i := range 7 {
			want := o.Prefix + peerOf(i).String()
			if i == 3 || i == 6 {
				want = ""
			}
			if got := (shared.Whole{Store: mx1.Store}).Unread(peerOf(i)); got != want {
				t.Errorf("the record of %d that can't be read is %q, want %q", i, got, want)
			}
		}
		listener := tlsstate.Identity{Kind: tlsstate.Listener, Name: "25"}
		if got := (shared.Whole{Store: mx1.Store}).Unread(listener); got != "" {
			t.Errorf("of a listener, which no server has: %q", got)
		}
		if _, err := s.Do("SET", o.Prefix+peerOf(6).String(), "garbage"); err != nil { // it was good before
			t.Fatal(err)
		}
		mx1.do(peerOf(6), tlsstate.History.Unpin)
		mx1.settled()
		if got := (shared.Whole{Store: mx1.Store}).Unread(peerOf(6)); got == "" {
			t.Error("a record that was damaged meanwhile is taken for read")
		}
	})
}

// A value of 256 MB is a hostile host's: it isn't read, but for its beginning.
func TestHugeValueIsNotRead(t *testing.T) {
	onBoth(t, func(t *testing.T, s *servers.Server) {
		o := patient(prefix())
		key := o.Prefix + peerOf(1).String()
		if _, err := s.Do("SETRANGE", key, fmt.Sprint(1<<28-1), "x"); err != nil {
			t.Fatal(err)
		}
		mx1 := newHost(t, s.URL(), o).up()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		mx1.sees(peerOf(1), today, tlsstate.TLS12)
		mx1.settled()
		mx1.Refresh(0, peerOf(1))
		if err := mx1.Pull(t.Context()); err != nil {
			t.Error(err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<25 {
			t.Errorf("%d MB were read", n>>20)
		}
		if n, err := s.Do("STRLEN", key); err != nil || n != fmt.Sprint(1<<28) || mx1.Sharing().Undecodable < 3 || !mx1.Sharing().Answering {
			t.Errorf("%s bytes, %v, %+v", n, err, mx1.Sharing())
		}
		if _, err := s.Do("DEL", key); err != nil {
			t.Error(err)
		}
	})
}

// Operators see what all hosts know.
func TestWhole(t *testing.T) {
	onBoth(t, func(t *testing.T, s *servers.Server) {
		mx1, mx2 := two(t, s)
		for i := range 700 {
			[]*host{mx1, mx2}[i%2].sees(peerOf(i), today, tlsstate.TLS12)
		}
		mx1.settled()
		mx2.settled()
		whole := shared.Whole{Store: mx1.Store}
		if h, err := whole.Load(peerOf(1)); err != nil || h.Last != today {
			t.Errorf("Load of the other's peer: %+v, %v", h, err)
		}
		for _, list := range []struct {
			of   func(tlsstate.Identity) (iter.Seq2[tlsstate.Identity, tlsstate.History], func() error)
			want int
		}{{whole.Here, 351}, {whole.All, 700}, {whole.Here, 700}} { // its own, and the one that was asked for
			n := 0
			all, failed := list.of(tlsstate.Identity{})
			for range all {
				n++
			}
			if err := failed(); err != nil || n != list.want {
				t.Errorf("%d of %d peers, %v", n, list.want, err)
			}
		}
	})
}

func TestWholeWithoutServer(t *testing.T) {
	mx1 := newHost(t, "valkey://127.0.0.1:1", shared.Options{})
	mx1.sees(peerOf(1), today, tlsstate.TLS12)
	whole := shared.Whole{Store: mx1.Store}
	if h, err := whole.Load(peerOf(1)); err != nil || h.Last != today {
		t.Errorf("Load: %+v, %v", h, err)
	}
	all, failed := whole.All(tlsstate.Identity{})
	n := 0
	for range all {
		n++
	}
	if err := failed(); !errors.Is(err, shared.ErrPartial) || n != 1 {
		t.Errorf("%d peers, %v", n, err)
	}
	mx1.do(peerOf(1), tlsstate.History.Unpin)
	if err := mx1.Flush(t.Context()); !errors.Is(err, shared.ErrAway) {
		t.Errorf("Flush: %v", err)
	}
	if mx1.knows(peerOf(1)).Epoch != 1 {
		t.Error("the unpin was lost")
	}
}

// Two hosts that write the same records at once undo nothing of each other's:
// the server alone has it all, without anybody asking once more.
func TestCompareAndSet(t *testing.T) {
	onBoth(t, func(t *testing.T, s *servers.Server) {
		mx1, mx2 := two(t, s)
		const peers, days = 200, 12
		var both sync.WaitGroup
		for n, h := range []*host{mx1, mx2} {
			both.Go(func() {
				for d := n; d < days; d += 2 {
					for i := range peers {
						h.sees(peerOf(i), today-tlsstate.Day(d), tlsstate.TLS12)
					}
					if err := h.Flush(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		both.Wait()
		var want tlsstate.History
		for d := range tlsstate.Day(days) {
			want = storetest.Sees(want, today-d, tlsstate.TLS12)
		}
		for i := range peers {
			value, err := s.Do("GET", mx1.prefix+peerOf(i).String())
			got, derr := tlsstate.Decode([]byte(value))
			if err != nil || derr != nil || got.Seen != want.Seen {
				t.Fatalf("%s: %+v, %v, %v", peerOf(i), got, err, derr)
			}
		}
		if n := mx1.Sharing().Conflicts + mx2.Sharing().Conflicts; n == 0 {
			t.Error("they never met: this test shows nothing")
		}
	})
}
