package incident

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

// TestAction: what was done, by what came of it.
func TestAction(t *testing.T) {
	for _, tt := range []struct {
		name          string
		action        tlsstate.Action
		done, refused bool
		want          tlsstate.Action
	}{
		{"marked", tlsstate.Header, true, false, tlsstate.Header},
		{"refused", tlsstate.Tempfail, true, true, tlsstate.Tempfail},
		{"to postmaster alone", tlsstate.Reject, true, false, tlsstate.Header},
		{"the peer gave up", tlsstate.Reject, false, false, tlsstate.Reject},
		{"held", tlsstate.Quarantine, true, false, tlsstate.Quarantine},
	} {
		d := &ratchet.Decision{}
		d.Action = tt.action
		e := &ratchet.Event{Session: &ratchet.Session{}, Decision: d, Refused: tt.refused, Done: tt.done}
		if got := e.AppliedAction(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestSenderDomain(t *testing.T) {
	for in, want := range map[string]string{
		"ann@Bank.example":            "bank.example",
		"<ann@bank.example>":          "bank.example",
		"@relay:ann@bank.example":     "bank.example",
		"\"a@b\"@bank.example":        "bank.example",
		"postmaster":                  "postmaster",
		"<MAILER-DAEMON>":             "mailer-daemon",
		"a@b\u00fccher.example":       "b??cher.example",
		"a@b.example\r\nX-Forged: no": "b.example??x-forged: no",
	} {
		if got := senderDomain(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestQueueID(t *testing.T) {
	for in, want := range map[string]string{
		"4XyZ12": "4XyZ12", "": "", "A B": "", "Q;id": "", "-r": "", "Q\n": "", string(make([]byte, 65)): "",
	} {
		if got := queueID(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestMetBy(t *testing.T) {
	session := func(l tlsstate.Level, certificate bool) *tlsstate.Verdict {
		return &tlsstate.Verdict{Outcome: tlsstate.Steady, Seen: tlsstate.Security{Level: l, Certificate: certificate}}
	}
	for _, tt := range []struct {
		kind tlsstate.Downgrade
		pin  tlsstate.Level
		v    *tlsstate.Verdict
		want bool
	}{
		{tlsstate.Stripped, tlsstate.TLS12, session(tlsstate.TLS13, false), true},
		{tlsstate.Stripped, tlsstate.TLS12, session(tlsstate.TLS12, false), true},
		{tlsstate.Stripped, tlsstate.TLS12, session(tlsstate.Weak, false), false},
		{tlsstate.Weakened, tlsstate.TLS13, session(tlsstate.TLS12, false), false},
		{tlsstate.Unauthenticated, tlsstate.TLS12, session(tlsstate.TLS13, false), false},
		{tlsstate.Unauthenticated, tlsstate.TLS12, session(tlsstate.TLS13, true), true},
	} {
		i := &Incident{Kind: tt.kind, Evidence: Evidence{Pin: tt.pin}}
		if got := i.metBy(tt.v); got != tt.want {
			t.Errorf("%s of %s, %s came: got %t", tt.kind, tt.pin, tt.v.Seen.Level, got)
		}
	}
}

// TestMeets: only what was judged and encrypted can meet a pin.
func TestMeets(t *testing.T) {
	for o := range tlsstate.Downgraded + 1 {
		want := o == tlsstate.New || o == tlsstate.Learning || o == tlsstate.Steady || o == tlsstate.Raised
		if got := meets(&tlsstate.Verdict{Outcome: o, Seen: tlsstate.Security{Level: tlsstate.TLS12}}); got != want {
			t.Errorf("%s: got %t", o, got)
		}
		if meets(&tlsstate.Verdict{Outcome: o}) {
			t.Errorf("%s in clear meets a pin", o)
		}
	}
}

// TestLedgerHolds its own whatever comes: the bounds, that what is watched is
// what is open, that opening and closing alternate in what is reported, and that
// nothing is lost over a restart.
func TestLedgerHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, now := newLedger(5), noon
		open := map[uint64]bool{}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(-60, 40*60).Draw(t, "minutes")) * time.Minute)
			for _, c := range randomStep(t, l, now) {
				switch id := c.Incident.ID; {
				case (c.What == Closed || c.What == Grown) && !open[id]:
					t.Fatalf("%d was reported %s and not as open", id, c.What)
				case c.What == Opened && open[id]:
					t.Fatalf("%d was reported open twice", id)
				case c.What == Opened, c.What == Waiting, c.What == Closed:
					open[id] = c.What != Closed
				}
			}
			checkLedger(t, l)
		}
		var written []*Incident
		for _, i := range l.all {
			b, err := json.Marshal(i)
			if err != nil {
				t.Fatal(err)
			}
			j := &Incident{}
			if err := j.UnmarshalJSON(b); err != nil {
				t.Fatal(err)
			}
			written = append(written, j)
		}
		rand.Shuffle(len(written), func(i, j int) { written[i], written[j] = written[j], written[i] })
		again := newLedger(5)
		again.restore(written, 0)
		checkLedger(t, again)
		if len(again.all) != len(l.all) || len(again.watch.by) != len(l.watch.by) || len(again.newest) != len(l.newest) {
			t.Fatalf("after a restart %d incidents, %d addresses, before %d, %d",
				len(again.all), len(again.watch.by), len(l.all), len(l.watch.by))
		}
	})
}

func randomStep(t *rapid.T, l *ledger, now time.Time) []Change {
	if rapid.IntRange(0, 3).Draw(t, "step") == 0 {
		return l.tick(now)
	}
	e := downgrade(fmt.Sprintf("192.0.2.%d", rapid.IntRange(1, 8).Draw(t, "peer")), now)
	if rapid.Bool().Draw(t, "domain") {
		e.Decision.Identity = tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}
	}
	if rapid.IntRange(0, 2).Draw(t, "good") == 0 {
		e.Decision.Outcome, e.Decision.Kind = tlsstate.Steady, tlsstate.NoDowngrade
		e.Decision.Seen.Level = tlsstate.TLS13
	}
	e.Decision.Action = tlsstate.Action(rapid.IntRange(0, 4).Draw(t, "action"))
	e.QueueID = "Q1"
	return l.onEvent(own(e))
}

func checkLedger(t *rapid.T, l *ledger) {
	if len(l.all) > l.most {
		t.Fatalf("%d incidents", len(l.all))
	}
	watched := map[string]int{}
	for _, i := range l.all {
		for _, c := range i.Clients {
			if i.IsOpen() {
				watched[c.Address]++
			}
		}
	}
	for id, n := range watched {
		if l.watch.by[id] != n || !l.watch.has(id) {
			t.Fatalf("%s: %d incidents watched, want %d", id, l.watch.by[id], n)
		}
	}
	if len(watched) != len(l.watch.by) {
		t.Fatalf("%d addresses watched, want %d", len(l.watch.by), len(watched))
	}
	for k, i := range l.newest {
		if !slices.Contains(l.all, i) || i.key() != k {
			t.Fatalf("the newest of %v is not there", k)
		}
	}
}

// TestWatchFromManySides: the mail path asks while the ledger changes.
func TestWatchFromManySides(t *testing.T) {
	w := watch{by: make(map[string]int)}
	var asking sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					w.has(fmt.Sprint(rand.IntN(20)))
				}
			}
		})
	}
	for range 500 {
		clients := []Client{{Address: fmt.Sprint(rand.IntN(20))}}
		w.add(clients, 1)
		if !w.has(clients[0].Address) {
			t.Error("it was added")
		}
		w.add(clients, -1)
	}
	close(stop)
	asking.Wait()
	if len(w.by) != 0 {
		t.Errorf("%d left", len(w.by))
	}
}

func BenchmarkOnEvent(b *testing.B) {
	book := newBook(Options{Changed: ignored})
	book.start()
	defer book.Close()
	steady := downgrade("192.0.2.1", noon)
	steady.Decision.Outcome, steady.Decision.Kind, steady.Decision.Seen.Level = tlsstate.Steady, tlsstate.NoDowngrade, tlsstate.TLS13
	b.Run("nothing open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			book.OnEvent(steady)
		}
	})
	book.Handle(downgrade("192.0.2.2", noon))
	b.Run("something open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			book.OnEvent(steady)
		}
	})
}

// TestStrongerAction: an incident that opened under a softer action is reported
// again when a stronger one is applied, once.
func TestStrongerAction(t *testing.T) {
	l := newLedger(5)
	var got []What
	for n, action := range []tlsstate.Action{tlsstate.Observe, tlsstate.Observe, tlsstate.Tempfail, tlsstate.Tempfail} {
		e := downgrade("192.0.2.1", noon.Add(time.Duration(n)*time.Minute))
		e.Decision.Action, e.Recipient = action, "bob@here.example"
		for _, c := range l.onEvent(own(e)) {
			got = append(got, c.What)
		}
	}
	if want := []What{Opened, Grown}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestStrongerEvidence: evidence that allows more than before is reported at once.
func TestStrongerEvidence(t *testing.T) {
	l := newLedger(5)
	for n, want := range []string{"opened", "", "grown", ""} {
		e, got := downgrade("192.0.2.1", noon.Add(time.Duration(n)*time.Minute)), ""
		if e.Decision.Cap = tlsstate.Header; n >= 2 {
			e.Decision.Cap = tlsstate.Quarantine
		}
		for _, c := range l.onEvent(&e) {
			got += string(c.What)
		}
		if got != want {
			t.Errorf("message %d: %q, want %q", n+1, got, want)
		}
	}
}

// TestAfterADay: a day after the last report an incident is a day older, and a day after
// its end the next one is another.
func TestAfterADay(t *testing.T) {
	l := newLedger(5)
	come := func(at time.Time) []Change {
		e := downgrade("192.0.2.1", at)
		return l.onEvent(&e)
	}
	come(noon)
	if early, changes := come(noon.Add(quietHours-time.Second)), come(noon.Add(quietHours)); len(early) > 0 || len(changes) != 1 || changes[0].What != Grown {
		t.Errorf("before a day %v, after it %v", early, changes)
	}
	end := noon.Add(2 * quietHours)
	l.close(l.all[0], Met, end)
	come(end)
	before := l.changes
	if changes := l.close(l.all[0], Met, end); len(changes) > 0 || l.changes == before {
		t.Errorf("an end that is not reported: %v, and is to be written: %t", changes, l.changes > before)
	}
	if come(end.Add(quietHours - time.Second)); len(l.all) != 1 {
		t.Errorf("%d incidents within a day of its end", len(l.all))
	}
	l.close(l.all[0], Met, end)
	if come(end.Add(quietHours)); len(l.all) != 2 {
		t.Errorf("%d incidents a day after its end", len(l.all))
	}
}

// TestReleasedOnce: that a pin is released is reported once for an incident, also after a
// restart, and not with a message that changes nothing.
func TestReleasedOnce(t *testing.T) {
	l := newLedger(5)
	e := downgrade("192.0.2.1", noon)
	l.onEvent(&e)
	e = *releasing("192.0.2.1")
	if got := newLedger(5).onEvent(releasing("192.0.2.9")); len(got) != 1 || got[0].What != Released || !strings.HasPrefix(got[0].Words, "address:192.0.2.9 came ") {
		t.Errorf("without an incident: %v", got)
	}
	for n, changes := range []bool{false, true, true} {
		before := l.changes
		e.Decision.Changes = changes
		if got := l.onEvent(&e); len(got) != n%2 || changes != (l.changes > before) {
			t.Errorf("message %d: %v, to be written: %t", n, got, l.changes > before)
		}
	}
}

// releasing is a message that changes a history whose pin is released.
func releasing(name string) *ratchet.Event {
	e := downgrade(name, noon)
	e.Decision.Outcome, e.Decision.Kind, e.Decision.State, e.Decision.Below, e.Decision.Changes = tlsstate.Learning, tlsstate.NoDowngrade, tlsstate.PinReleased, 3, true
	return &e
}

// TestRestored: whatever their order in the file and what it states of them, incidents are
// in that of their numbers, no number is given again, and each message is to be written.
func TestRestored(t *testing.T) {
	l := newLedger(5)
	var all []*Incident
	for _, id := range []uint64{9, 3, 7} {
		all = append(all, &Incident{ID: id, Identity: tlsstate.Identity{Kind: tlsstate.Address, Name: fmt.Sprintf("192.0.2.%d", id)}, Messages: 2, Reported: Reported{At: noon}})
	}
	l.restore(all, 0)
	if l.all[0].ID != 3 || l.all[1].ID != 7 || l.all[2].ID != 9 {
		t.Errorf("%v", l.all)
	}
	e, before := downgrade("192.0.2.7", noon), l.changes
	e.Decision.Cap, e.Decision.Action = 0, 0
	l.all[1].Kind = tlsstate.Stripped
	if got := l.onEvent(&e); len(got) > 0 || l.changes != before+1 {
		t.Errorf("%v, %d to be written", got, l.changes-before)
	}
	e = downgrade("192.0.2.8", noon)
	if l.onEvent(&e); l.all[3].ID != 10 {
		t.Errorf("the next number is %d", l.all[3].ID)
	}
}

// TestPauseDoubles: a peer that alternates between TLS and clear is reported again after
// about one hour, two, four, up to a day, however often it alternates meanwhile.
func TestPauseDoubles(t *testing.T) {
	l := newLedger(5)
	var opened []string
	for at := noon; at.Before(noon.AddDate(0, 0, 4)); at = at.Add(10 * time.Minute) {
		e := downgrade("192.0.2.1", at)
		for _, c := range l.onEvent(&e) {
			opened = append(opened, c.At.Sub(noon).String())
		}
		l.close(l.all[0], Met, at.Add(5*time.Minute))
	}
	if got := strings.Join(opened, " "); got != "0s 1h10m0s 3h30m0s 8h10m0s 17h30m0s 36h10m0s 60h20m0s 84h30m0s" {
		t.Errorf("opened after %s", got)
	}
}

// TestOwn: what is kept of an event is in UTC, and no more of a queue id than is one.
func TestOwn(t *testing.T) {
	e := downgrade("192.0.2.1", noon.In(time.FixedZone("east", 7200)))
	e.QueueID = "4XyZ; reboot"
	if e := own(e); e.Session.At.Location() != time.UTC || !e.Session.At.Equal(noon) || e.QueueID != "" {
		t.Errorf("got %s, %q", e.Session.At, e.QueueID)
	}
}

// TestFloodOfIncidents: whoever makes more incidents than are stored, of pins that are
// a few days old, does not drive out the one of an old pin, though that one is quiet.
func TestFloodOfIncidents(t *testing.T) {
	l := newLedger(5)
	for n := range 20 {
		e := downgrade(fmt.Sprintf("192.0.2.%d", n+1), noon.Add(time.Duration(n)*time.Minute))
		v := &e.Decision.Verdict
		v.Since, v.Last = 20700, 20703
		if n == 0 {
			v.Since = 20300
		}
		l.onEvent(&e)
	}
	if len(l.all) != 5 || l.all[0].Identity.Name != "192.0.2.1" || l.all[4].Identity.Name != "192.0.2.20" {
		t.Errorf("%d are left, the first is of %s", len(l.all), l.all[0].Identity)
	}
}

// TestNoRoom: where there is no room for incidents with shorter pins, each is reported
// once and not with each message, and again after a day.
func TestNoRoom(t *testing.T) {
	l, at := newLedger(3), noon
	come := func(n int, since tlsstate.Day) (what string) {
		e := downgrade(fmt.Sprintf("192.0.2.%d", n), at)
		e.Decision.Since, e.Decision.Last = since, 20703
		for _, c := range l.onEvent(&e) {
			if c.What != Closed { // that is of the one that makes room
				what += string(c.What)
			}
		}
		at = at.Add(time.Second)
		return what
	}
	for n := range 3 {
		come(n+1, 20300)
	}
	for day, want := range []string{"opened", "opened", "opened"} {
		for round := range 10 {
			if round > 0 {
				want = ""
			}
			for n := range 2 {
				if got := come(n+10, 20700); got != want {
					t.Errorf("day %d, round %d: %q, want %q", day, round, got, want)
				}
			}
		}
		if i := l.all[2]; i.ID != uint64(5+2*day) || i.Messages != 10 || len(l.all) != 3 || len(l.watch.by) != 3 {
			t.Errorf("day %d: %d stored, the last is %+v", day, len(l.all), i)
		}
		at = at.Add(quietHours)
	}
}

// TestUnpinnedIsOne: whose pin was dropped closes alone.
func TestUnpinnedIsOne(t *testing.T) {
	l := newLedger(5)
	for n := range 2 {
		e := downgrade(fmt.Sprintf("192.0.2.%d", n), noon)
		l.onEvent(&e)
	}
	if changes := l.unpinned(2, noon); len(changes) != 1 || changes[0].Incident.ID != 2 || !l.all[0].IsOpen() || l.all[1].IsOpen() {
		t.Errorf("got %v", changes)
	}
}

// TestNoRoomIsAnEnd: an open incident that must make room is reported as closed, or receivers
// would show it for ever; one that goes on after that is reported as opened when it is news.
func TestNoRoomIsAnEnd(t *testing.T) {
	l := newLedger(1)
	come := func(n, minutes int) (got []string) {
		e := downgrade(fmt.Sprintf("192.0.2.%d", n), noon.Add(time.Duration(minutes)*time.Minute))
		e.Decision.Last = 20703
		for _, c := range l.onEvent(&e) {
			got = append(got, fmt.Sprint(c.What, " ", c.Identity.Name, " ", c.Incident.ClosedBy))
		}
		return got
	}
	for n, tt := range []struct {
		peer, minutes int
		want          string
	}{
		{1, 0, "[opened 192.0.2.1 ]"},
		{2, 1, "[closed 192.0.2.1 no_room opened 192.0.2.2 ]"},
		{1, 2, "[closed 192.0.2.2 no_room]"},
		{1, 24*60 + 1, "[opened 192.0.2.1 ]"},
		{2, 24*60 + 2, "[closed 192.0.2.1 no_room opened 192.0.2.2 ]"},
	} {
		if got := fmt.Sprint(come(tt.peer, tt.minutes)); got != tt.want {
			t.Errorf("message %d: %s, want %s", n+1, got, tt.want)
		}
	}
	if i := l.all[0]; !i.IsOpen() || !i.Reported.Open {
		t.Errorf("the last is %+v", i)
	}
}

// TestGrowth: an incident is reported again when it is ten times larger than when it
// was reported, and than ten messages. Its words stay those of the first message.
func TestGrowth(t *testing.T) {
	l := newLedger(5)
	for n := range 100 {
		e := downgrade("192.0.2.1", noon.Add(time.Duration(n)*time.Minute))
		e.Decision.Days = n + 1
		e.Decision.Last = 20700
		want := map[int]int{0: 1, 99: 1}[n]
		if changes := l.onEvent(&e); len(changes) != want {
			t.Errorf("message %d: %v", n+1, changes)
		}
	}
	e := downgrade("192.0.2.1", noon)
	e.Decision.Days, e.Decision.Last = 1, 20700
	if got, want := l.all[0].Words, words.Verdict(&e.Decision.Verdict); got != want {
		t.Errorf("words %q, want %q", got, want)
	}
}

// TestWaitingAgain: an incident that goes on after its end is a new wait for the senders:
// both reminders come again.
func TestWaitingAgain(t *testing.T) {
	l := newLedger(5)
	e := downgrade("192.0.2.1", noon)
	e.Decision.Action, e.Refused = tlsstate.Tempfail, true
	l.onEvent(&e)
	l.close(l.all[0], Met, noon.Add(time.Hour))
	l.all[0].Reported.Waiting = 2
	e.Session.At = noon.Add(2 * time.Hour)
	l.onEvent(&e)
	i := l.all[0]
	i.Last = noon.Add(27 * time.Hour) // it goes on
	if changes := l.tick(noon.Add(27 * time.Hour)); len(changes) != 1 || changes[0].What != Waiting {
		t.Errorf("after a day %v", changes)
	}
}
