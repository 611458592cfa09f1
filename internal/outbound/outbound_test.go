package outbound

import (
	"cmp"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/maillog"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// world is an Outbound with a clock and a memory of its own.
type world struct {
	*Outbound
	t      *testing.T
	now    time.Time
	memory *store.Memory
	events []tlsstate.Verdict
	states []OutageState
	queue  int
}

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, change func(*tlsstate.Policy, *Settings)) *world {
	t.Helper()
	w := &world{t: t, now: noon, memory: store.NewMemory(10_000)}
	policy := tlsstate.DefaultPolicy()
	policy.Stripped, policy.Weakened, policy.Unauthenticated = tlsstate.Tempfail, tlsstate.Observe, tlsstate.Observe
	s := Settings{Least: tlsstate.TLS12, Permission: Permission{Allowed: true, Relays: []string{"relay.test"}}}
	if change != nil {
		change(&policy, &s)
	}
	if s.Rules == nil {
		rules, err := tlsstate.NewRules(policy, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Rules = rules
	}
	w.Outbound = New(Options{
		Histories: w.memory, Settings: s, Now: func() time.Time { return w.now }, Log: quiet,
		Events: func(e ratchet.Event) { w.events = append(w.events, e.Decision.Verdict) },
		Outage: func(o OutageState) { w.states = append(w.states, o) },
	})
	return w
}

func (w *world) days(n int) { w.now = w.now.AddDate(0, 0, n) }

// tls12 and so on are how a delivery ended.
var (
	tls12    = maillog.Delivery{Status: maillog.Sent, TLS: maillog.Encrypted, Security: tlsstate.Security{Level: tlsstate.TLS12, Protocol: "TLSv1.2"}}
	tls10    = maillog.Delivery{Status: maillog.Sent, TLS: maillog.Encrypted, Security: tlsstate.Security{Level: tlsstate.Weak, Protocol: "TLSv1"}}
	inClear  = maillog.Delivery{Status: maillog.Sent, TLS: maillog.Clear}
	unknown  = maillog.Delivery{Status: maillog.Sent}
	refused  = maillog.Delivery{Status: maillog.Deferred, Refusal: maillog.NotOffered}
	broken   = maillog.Delivery{Status: maillog.Deferred, Refusal: maillog.Handshake}
	ended    = maillog.Delivery{Status: maillog.Deferred, Refusal: maillog.Ended}
	deferred = maillog.Delivery{Status: maillog.Deferred}
)

// deliver has Postfix ask for a domain, and then try. It returns the answer.
func (w *world) deliver(domain string, d maillog.Delivery) (encrypt bool) {
	encrypt = w.Answer([]byte(domain), 77)
	w.queue++
	d.At, d.PID, d.QueueID, d.Domain, d.Host = w.now, 77, fmt.Sprintf("Q%d", w.queue), domain, "mx."+domain
	d.Addr = fmt.Sprintf("10.%d.0.1", len(domain)*7%250+int(domain[0])%5)
	w.Delivered(&d)
	return encrypt
}

func (w *world) pin(domain string) {
	for range 7 {
		w.deliver(domain, tls12)
		w.days(1)
	}
}

// TestAClockAheadTeachesNothing: one delivery on a clock that is years ahead would
// make the newest day of the whole memory one of that clock.
func TestAClockAheadTeachesNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.o.Writes = ratchet.New(ratchet.Options{Histories: w.memory, Rules: w.settings.Load().Rules, Log: quiet}).Writes
	w.pin("bank.test")
	newest := w.memory.Newest()
	for day, want := range []bool{false, true} { // after a day it is believed
		w.days(max(5000*(1-day), 1))
		w.deliver("bank.test", tls12)
		if learned := w.memory.Newest() > newest; learned != want {
			t.Errorf("day %d: learned %v", day, learned)
		}
	}
}

// TestProgressions is a destination's life: what came each day, and what is then
// answered.
func TestProgressions(t *testing.T) {
	type day struct {
		comes maillog.Delivery
		want  bool // the answer before it
	}
	for name, days := range map[string][]day{
		"held, and released on the third day": {{refused, true}, {refused, true}, {inClear, false}, {inClear, false}},
		"a failed handshake is no faster":     {{broken, true}, {broken, true}, {inClear, false}},
		"nor a TLS connection that ends":      {{ended, true}, {ended, true}, {inClear, false}},
		"back at once":                        {{refused, true}, {tls12, true}, {refused, true}, {refused, true}, {inClear, false}, {tls12, false}, {refused, true}},
		"unknown is never clear":              {{unknown, true}, {unknown, true}, {unknown, true}, {refused, true}},
		"other failures teach nothing":        {{deferred, true}, {deferred, true}, {deferred, true}, {refused, true}},
		"a clear one that can't be":           {{inClear, true}, {inClear, true}, {inClear, true}, {refused, true}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.pin("bank.test")
			for i, d := range days {
				if got := w.deliver("bank.test", d.comes); got != d.want {
					t.Errorf("day %d: encrypt %v, want %v", i+1, got, d.want)
				}
				w.days(1)
			}
		})
	}
}

// TestClockSetBack: what is dated before a pin formed does not contest it, where
// nothing may be held either.
func TestClockSetBack(t *testing.T) {
	w := newWorld(t, func(_ *tlsstate.Policy, s *Settings) { s.Permission = Permission{} })
	w.pin("bank.test")
	today := w.now
	w.now = today.AddDate(0, 0, -20)
	w.deliver("bank.test", inClear)
	h, err := w.memory.Load(tlsstate.Identity{Kind: tlsstate.Destination, Name: "bank.test"})
	if err != nil {
		t.Fatal(err)
	}
	if !h.Holds(tlsstate.TLS12, w.settings.Load().Rules.Default(), tlsstate.DayOf(today)) {
		t.Errorf("a day in clear by a clock that was set back contests the pin: %+v", h)
	}
}

func TestWhoIsHeld(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*tlsstate.Policy, *Settings)
		past   maillog.Delivery
		key    string
		want   bool
	}{
		"pinned":                {nil, tls12, "bank.test", true},
		"in another case":       {nil, tls12, "BANK.test", true},
		"its parent":            {nil, tls12, ".test", false},
		"a stranger":            {nil, tls12, "other.test", false},
		"in brackets":           {nil, tls12, "[bank.test]:25", false},
		"never encrypted":       {nil, inClear, "bank.test", false},
		"weak, below the floor": {nil, tls10, "bank.test", false},
		"weak, floor weak":      {func(_ *tlsstate.Policy, s *Settings) { s.Least = tlsstate.Weak }, tls10, "bank.test", true},
		"observe":               {func(p *tlsstate.Policy, _ *Settings) { p.Stripped = tlsstate.Observe }, tls12, "bank.test", false},
		"Postfix forbids it":    {func(_ *tlsstate.Policy, s *Settings) { s.Permission.Allowed = false }, tls12, "bank.test", false},
		"required, never seen":  {rows(tlsstate.Row{Domain: "new.test", Least: tlsstate.TLS12}), tls12, "new.test", true},
		"exempt":                {rows(tlsstate.Row{Domain: "bank.test", Exempt: true}), tls12, "bank.test", false},
		"required, Postfix forbids it": {func(p *tlsstate.Policy, s *Settings) {
			rows(tlsstate.Row{Domain: "new.test", Least: tlsstate.TLS12})(p, s)
			s.Permission.Allowed = false
		}, tls12, "new.test", false},
		"held by a row, Postfix forbids it": {func(p *tlsstate.Policy, s *Settings) {
			hold := tlsstate.Tempfail
			rows(tlsstate.Row{Domain: "bank.test", Least: tlsstate.TLS12, Action: &hold})(p, s)
			s.Permission.Allowed = false
		}, tls12, "bank.test", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tt.change)
			for range 7 {
				w.deliver("bank.test", tt.past)
				w.days(1)
			}
			if got := w.Answer([]byte(tt.key), 77); got != tt.want {
				t.Errorf("encrypt %v, want %v", got, tt.want)
			}
		})
	}
}

func rows(all ...tlsstate.Row) func(*tlsstate.Policy, *Settings) {
	return func(p *tlsstate.Policy, s *Settings) {
		rules, err := tlsstate.NewRules(*p, all)
		if err != nil {
			panic(err)
		}
		s.Rules = rules
	}
}

// TestOutage: many destinations that fail at once are our own network. Their
// pins outlive it, and no mail is returned for it.
func TestOutage(t *testing.T) {
	w := newWorld(t, nil)
	var all []string
	for i := range 14 {
		all = append(all, fmt.Sprintf("%sd%d.test", string(rune('a'+i))+"xxxxxxxxxxxxxxxxxxxxxxx"[:i], i))
	}
	for range 7 {
		for _, domain := range all {
			w.deliver(domain, tls12)
		}
		w.days(1)
	}
	for day := 1; day <= 3; day++ {
		for _, domain := range all {
			w.deliver(domain, map[bool]maillog.Delivery{true: refused, false: inClear}[w.Answer([]byte(domain), 77)])
		}
		if got, want := w.Answer([]byte(all[13]), 77), day < 3; got != want {
			t.Errorf("day %d of the outage: encrypt %v, want %v", day, got, want)
		}
		w.days(1)
	}
	if len(w.states) != 1 || w.states[0].Since.IsZero() {
		t.Fatalf("%d reports, want one of its begin", len(w.states))
	}
	if h, err := w.memory.Load(tlsstate.Identity{Kind: tlsstate.Destination, Name: all[13]}); err != nil || h.Seen[tlsstate.Plaintext]&0b11111 != 0 {
		t.Errorf("a day of the outage counts: %+v, %v", h, err)
	}
	for _, domain := range all {
		w.deliver(domain, tls12)
	}
	if len(w.states) != 2 || !w.states[1].Since.IsZero() {
		t.Errorf("%d reports, want a second one of its end", len(w.states))
	}
	if !w.Answer([]byte(all[13]), 77) || !w.Answer([]byte(all[12]), 77) {
		t.Error("pins were worn out by the outage")
	}
}

// failing returns an outage of so many destinations, which began now.
func (w *world) failing(n int) {
	for i := range n {
		w.outage.fail(fmt.Sprintf("f%d.test", i), "", w.now)
	}
}

// reached notes that so many destinations are reached over TLS.
func (w *world) reached(n int) {
	for i := range n {
		w.outage.met(fmt.Sprintf("r%d.test", i), "", w.now)
	}
}

// TestOutageOfOthers: where more destinations are reached than fail, the fault is
// not ours, however many fail; and who lets names of his own fail releases
// nobody else.
func TestOutageOfOthers(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	w.failing(10)
	w.reached(12)
	w.failing(12)
	if len(w.states) > 0 {
		t.Error("an outage, though more are reached than fail")
	}
	w.now = w.now.Add(time.Hour)
	w.failing(12)
	if !w.Stats().Outage {
		t.Fatal("no outage")
	}
	w.reached(13)
	for range 3 {
		if !w.Answer([]byte("bank.test"), 77) {
			t.Error("not held")
		}
		w.days(1)
		w.reached(13)
		w.failing(12)
	}
	if n := len(w.states); n != 2 || !w.states[1].Since.IsZero() {
		t.Errorf("%d reports, want two: %+v", n, w.states)
	}
}

// TestOutageReleasesWhatWaited: on the third day of an outage those go whose mail
// waits since its first, for it must not be returned. Whoever has names of his own
// fail for two days does not have everybody else's mail sent in clear.
func TestOutageReleasesWhatWaited(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	w.pin("early.test")
	for day := 1; day <= 3; day++ {
		w.failing(12)
		w.outage.fail("early.test", "", w.now)
		if early := w.Answer([]byte("early.test"), 77); early != (day < 3) {
			t.Errorf("day %d: encrypt %v for what waits since the first day", day, early)
		}
		if !w.Answer([]byte("bank.test"), 77) {
			t.Errorf("day %d: not held, though nothing waited for it", day)
		}
		w.days(1)
	}
	if !w.Stats().Outage {
		t.Error("no outage")
	}
	w.days(-1)
	for day := 1; day <= 3; day++ { // now it fails too
		if got := w.deliver("bank.test", refused); got != (day < 3) {
			t.Errorf("day %d of bank.test: encrypt %v", day, got)
		}
		w.failing(12)
		w.days(1)
	}
}

// TestOutageOfMore: a destination beyond those that an outage remembers counts its
// own days, so that its mail is not returned either.
func TestOutageOfMore(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	for day := 1; day <= 3; day++ {
		w.failing(maxFailing)
		if got := w.deliver("bank.test", refused); got != (day < 3) {
			t.Errorf("day %d: encrypt %v", day, got)
		}
		w.days(1)
	}
}

// TestOutageForgotten: one ends when nothing has failed for a day, and whoever
// finds that out reports it.
func TestOutageForgotten(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	w.failing(12)
	w.now = w.now.Add(outageMemory + time.Minute)
	if !w.Answer([]byte("bank.test"), 77) || len(w.states) != 2 || !w.states[1].Since.IsZero() {
		t.Errorf("reports: %+v", w.states)
	}
}

// TestReleaseOnOutage lets mail go at once where that is configured.
func TestReleaseOnOutage(t *testing.T) {
	w := newWorld(t, func(_ *tlsstate.Policy, s *Settings) { s.ReleaseOnOutage = true })
	w.pin("bank.test")
	w.failing(11)
	e, err := w.Explain("bank.test")
	if w.Answer([]byte("bank.test"), 77) || e.Encrypt || err != nil || !strings.Contains(strings.Join(e.Rules, "\n"), "Since 2026-12-03T12:00:00Z many destinations fail at once") {
		t.Errorf("held in an outage, or not explained: %+v, error %v", e, err)
	}
}

// TestUnpinnedMeanwhile: mail that waited by an answer of before is not reported as held
// once its pin is dropped.
func TestUnpinnedMeanwhile(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	var log strings.Builder
	w.o.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.deliver("bank.test", refused)
	held := strings.Count(log.String(), "mail held")
	w.Answer([]byte("bank.test"), 77)
	today := tlsstate.DayOf(w.now)
	if _, err := w.memory.Update(tlsstate.Identity{Kind: tlsstate.Destination, Name: "bank.test"}, noAddr, today, func(h tlsstate.History) tlsstate.History {
		return h.Unpin(today)
	}); err != nil {
		t.Fatal(err)
	}
	d := refused
	d.At, d.PID, d.QueueID, d.Domain, d.Host = w.now, 77, "Q99", "bank.test", "mx.bank.test"
	w.Delivered(&d)
	if held != 1 || strings.Count(log.String(), "mail held") != 1 {
		t.Error(log.String())
	}
}

// TestOverride: an operator lets all mail go, or decides that failures are no outage;
// a restart keeps that.
func TestOverride(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	answers := func(want bool, why string) {
		t.Helper()
		again := newWorld(t, nil)
		again.memory, again.Outbound.o.Histories, again.now = w.memory, w.memory, w.now
		again.Restore(w.State())
		for _, o := range []*world{w, again} {
			e, err := o.Explain("bank.test")
			if got := o.Answer([]byte("bank.test"), 77); got != want || err != nil || e.Encrypt != want || !strings.Contains(strings.Join(e.Rules, "\n"), why) {
				t.Errorf("encrypt %v, explained %+v, error %v", got, e, err)
			}
		}
	}
	w.Override(Release)
	answers(false, "An operator lets all mail go")
	w.Override(Hold)
	w.failing(12)
	w.days(3)
	w.failing(12)
	answers(true, "as in an outage of our own network.\nAn operator decided that failures are no outage")
	w.deliver("bank.test", refused)
	w.days(1)
	w.deliver("bank.test", refused)
	w.days(1)
	answers(false, "released") // by its own days
	w.Override(Auto)
	if got := w.State().Outage.Override; got != "" {
		t.Errorf("auto is kept as %q", got)
	}
}

// TestRestoreBesideReaders: the page may ask while the state is restored; -race
// finds what is read meanwhile.
func TestRestoreBesideReaders(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	w.deliver("bank.test", refused)
	w.deliver("other.test", inClear)
	again := newWorld(t, nil)
	read := make(chan Overview)
	go func() { read <- again.Overview() }()
	again.Restore(w.State())
	<-read
	again.now = w.now
	if o := again.Overview(); len(o.Waiting) != 1 || len(o.Sent.Days) != 8 || len(o.Sent.Clear) != 1 {
		t.Errorf("%+v", o)
	}
}

func TestWaiting(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	w.deliver("bank.test", refused)
	w.deliver("bank.test", refused)
	all := w.State().Waiting
	if len(all) != 1 || all[0].Messages != 2 || len(all[0].QueueIDs) != 2 || all[0].Release != "2026-12-05" || all[0].Reason != "STARTTLS was not offered" {
		t.Fatalf("%+v", all)
	}
	again := newWorld(t, nil)
	again.Restore(w.State())
	again.now = w.now
	again.Removed(all[0].QueueIDs[0])
	if got := again.State().Waiting; len(got) != 1 || len(got[0].QueueIDs) != 1 {
		t.Errorf("after a restart: %+v", got)
	}
	again.now = w.now.Add(waitingAge)
	if got := again.State().Waiting; len(got) != 1 {
		t.Error("it is not listed while Postfix tries")
	}
	again.now = again.now.Add(1)
	if got := again.State().Waiting; len(got) != 0 {
		t.Errorf("it is listed for ever: %+v", got)
	}
	w.Removed(all[0].QueueIDs[0])
	w.queue-- // the second one is tried again
	w.deliver("bank.test", tls12)
	if got := w.State().Waiting; len(got) != 0 {
		t.Errorf("after all was sent: %+v", got)
	}
}

// TestManyWait: a message that is tried again is no other one, however many wait.
func TestManyWait(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	for range 3 {
		w.queue = 0
		for range MaxQueueIDs + 20 {
			w.deliver("bank.test", refused)
		}
	}
	if one := w.State().Waiting[0]; one.Messages != MaxQueueIDs || len(one.QueueIDs) != MaxQueueIDs {
		t.Errorf("%d messages, %d ids", one.Messages, len(one.QueueIDs))
	}
}

// TestProbe: what was asked for a probe of an address is not what a delivery asked for
// that follows at once, and asks nothing.
func TestProbe(t *testing.T) {
	for _, recipients := range []string{"bank.test", "behind.test"} { // by way of bank.test
		w := newWorld(t, nil)
		w.pin("bank.test")
		before, sent := len(w.events), w.Stats()
		w.Answer([]byte("bank.test"), 77)
		w.Delivered(&maillog.Delivery{At: w.now, PID: 77, QueueID: "Q98", Domain: recipients, Host: "mx.bank.test"})
		d := inClear
		d.At, d.PID, d.QueueID, d.Domain, d.Host = w.now, 77, "Q99", "own.test", "mx.own.test"
		w.Delivered(&d)
		if now := w.Stats(); len(w.events) != before || now.Sent != sent.Sent || now.Unattributed != 1 {
			t.Errorf("%s: %+v, %+v", recipients, w.events[before:], now)
		}
	}
}

// TestWaitingIsCopied: who lists what waits, for instance to write it to a file, has a list
// of its own.
func TestWaitingIsCopied(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	w.deliver("bank.test", refused)
	w.deliver("bank.test", refused)
	before := w.State().Waiting[0]
	ids := fmt.Sprint(before.QueueIDs)
	if w.Removed(before.QueueIDs[0]); fmt.Sprint(before.QueueIDs) != ids {
		t.Errorf("%v, was %s", before.QueueIDs, ids)
	}
}

// TestHeldByAnAnswerOfBefore: mail that our answer kept here was held, whatever the
// configuration is by now.
func TestHeldByAnAnswerOfBefore(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	w.Answer([]byte("bank.test"), 77)
	log := w.logged()
	s := *w.settings.Load()
	s.Rules = newWorld(t, func(p *tlsstate.Policy, _ *Settings) { p.Stripped = tlsstate.Observe }).settings.Load().Rules
	w.SetSettings(s)
	d := refused
	d.At, d.PID, d.QueueID, d.Domain, d.Host = w.now, 77, "Q99", "bank.test", "mx.bank.test"
	if w.Delivered(&d); !strings.Contains(log.String(), `msg="mail held"`) || !strings.Contains(log.String(), "action=hold") {
		t.Error(log)
	}
}

// TestWaitingForNoPin: once a pin is released, mail in clear is what is expected, and
// the destination is listed no more.
func TestWaitingForNoPin(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	w.deliver("bank.test", refused)
	w.days(1)
	w.deliver("bank.test", refused)
	w.days(1)
	w.deliver("bank.test", inClear)
	if got := w.State().Waiting; len(got) != 1 || len(got[0].QueueIDs) != 2 {
		t.Errorf("while two messages wait: %+v", got)
	}
	w.Removed("Q8")
	w.Removed("Q9")
	w.deliver("bank.test", inClear)
	if got := w.State().Waiting; len(got) != 0 {
		t.Errorf("after all was sent: %+v", got)
	}
}

// TestWaitingText: what to do is what helps, and no host is named where none was tried.
func TestWaitingText(t *testing.T) {
	w := newWorld(t, rows(tlsstate.Row{Domain: "must.test", Least: tlsstate.TLS12}))
	w.pin("bank.test")
	w.deliver("must.test", refused)
	d := refused
	d.At, d.PID, d.QueueID, d.Domain, d.Suspended = w.now, 99, "Q99", "bank.test", true // by error(8)
	w.Answer([]byte("bank.test"), 77)
	w.Delivered(&d)
	o := w.Overview()
	var b strings.Builder
	o.Write(&b, w.now)
	for _, want := range []string{
		"STARTTLS was not offered\n", "STARTTLS was not offered by mx.must.test\n",
		"must.test go now: change its row of [[send]]", "bank.test go now: tlsratchet peer unpin",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &b)
		}
	}
}

// TestSentOfExempt: what is exempt is counted, and is listed with its state; and no
// destination is listed for ever, nor waits after a row exempts it.
func TestSentOfExempt(t *testing.T) {
	w := newWorld(t, rows(tlsstate.Row{Domain: "old.test", Exempt: true}, tlsstate.Row{Domain: "must.test", Least: tlsstate.TLS12}))
	observe := w.settings.Load().Rules
	w.deliver("old.test", inClear)
	w.deliver("old.test", tls12)
	w.deliver("other.test", inClear)
	sent := w.State().Sent
	var b strings.Builder
	if sent.Write(&b); !strings.HasPrefix(b.String(), "3 recipients on 1 days, 33.3 % encrypted.") || !strings.Contains(b.String(), "1        old.test (exempt)\n") || strings.Contains(b.String(), "other.test (") {
		t.Errorf("%s", &b)
	}
	w.days(tlsstate.Window)
	if got := w.State().Sent.Clear; len(got) != 0 {
		t.Errorf("listed still: %+v", got)
	}
	w.settings.Load().Rules = newWorld(t, nil).settings.Load().Rules
	w.pin("old.test")
	w.deliver("old.test", refused)
	queued := w.State().Waiting[0].QueueIDs[0]
	w.settings.Load().Rules = observe
	w.Removed(queued)
	w.deliver("old.test", inClear)
	if got := w.State().Waiting; len(got) != 0 {
		t.Errorf("waits, though it is exempt: %+v", got)
	}
}

// TestSentOfMany: when too many are listed, those go that got one message.
func TestSentOfMany(t *testing.T) {
	w := newWorld(t, nil)
	for n := range maxClear {
		w.deliver(fmt.Sprintf("d%d.test", n), inClear)
	}
	for _, again := range []string{"d0.test", "d1.test", "d0.test"} {
		w.deliver(again, inClear)
	}
	if n := len(w.State().Sent.Clear); n != maxClear {
		t.Errorf("%d are listed: one that is listed already pushes out others", n)
	}
	w.deliver("new.test", inClear)
	if all := w.State().Sent.Clear; len(all) != 3 || all[0].Recipients != 3 || all[2].Destination != "new.test" {
		t.Errorf("%d are listed", len(all))
	}
}

// TestSentByAClockAhead: what is counted on a clock that is ahead is listed by no other,
// and takes no day's place; and whoever is listed once more begins at one.
func TestSentByAClockAhead(t *testing.T) {
	w := newWorld(t, nil)
	ahead := 3 * tlsstate.Window
	w.deliver("old.test", inClear)
	for _, days := range []int{ahead, -ahead, tlsstate.Window} {
		w.days(days)
		w.deliver("old.test", inClear)
		sent := w.State().Sent
		if days == -ahead {
			if len(sent.Days) != 1 || sent.Days[0].Levels[tlsstate.Plaintext] != 1 {
				t.Errorf("after the clock was set back: %+v", sent.Days)
			}
		}
		if len(sent.Clear) != 1 || sent.Clear[0].Recipients != 1 || sent.Clear[0].Last != tlsstate.DayOf(w.now) {
			t.Errorf("after %d days: %+v", days, sent.Clear)
		}
	}
}

// TestNexthop: the process' own look-ups show the next-hop.
func TestNexthop(t *testing.T) {
	for name, tt := range map[string]struct {
		lookups map[string]time.Duration // by key, of process 77
		others  []string                 // asked by another process
		d       maillog.Delivery
		want    string // "" for unknown
	}{
		"the recipient's domain":                     {map[string]time.Duration{"bank.test": time.Second}, nil, maillog.Delivery{Domain: "bank.test"}, "bank.test"},
		"by way of another":                          {map[string]time.Duration{"hub.test": time.Second}, nil, maillog.Delivery{Domain: "bank.test"}, "hub.test"},
		"one of several":                             {map[string]time.Duration{"bank.test": time.Minute, "other.test": time.Second}, nil, maillog.Delivery{Domain: "bank.test", Took: time.Minute}, "bank.test"},
		"of the delivery before":                     {map[string]time.Duration{"other.test": 10 * time.Second}, nil, maillog.Delivery{Domain: "bank.test", Took: time.Second}, ""},
		"a slow one":                                 {map[string]time.Duration{"hub.test": 10 * time.Second}, nil, maillog.Delivery{Domain: "bank.test", Took: 9 * time.Second}, "hub.test"},
		"two within a second":                        {map[string]time.Duration{"a.test": 100 * time.Millisecond, "b.test": 200 * time.Millisecond}, nil, maillog.Delivery{Domain: "bank.test"}, ""},
		"two within a second, the domain of before":  {map[string]time.Duration{"a.test": 100 * time.Millisecond, "b.test": 200 * time.Millisecond}, []string{"bank.test"}, maillog.Delivery{Domain: "bank.test"}, ""},
		"a later one":                                {map[string]time.Duration{"later.test": -time.Minute}, nil, maillog.Delivery{Domain: "bank.test"}, ""},
		"a route in brackets":                        {map[string]time.Duration{"[127.0.0.1]:10024": time.Second, "bank.test": -time.Second}, nil, maillog.Delivery{Domain: "bank.test", Host: "127.0.0.1"}, ""},
		"a route, in capitals":                       {map[string]time.Duration{"[Relay.test]:587": time.Second, "bank.test": time.Minute}, nil, maillog.Delivery{Domain: "bank.test", Host: "Relay.Test"}, ""},
		"a route, asked by another":                  {nil, []string{"bank.test", "[scan.test]:10024"}, maillog.Delivery{Domain: "bank.test", Host: "scan.test", Reused: true}, ""},
		"a filter that never asks":                   {nil, []string{"bank.test"}, maillog.Delivery{Domain: "bank.test", Host: "127.0.0.1", Addr: "127.0.0.1"}, ""},
		"a filter by a short name":                   {nil, []string{"bank.test"}, maillog.Delivery{Domain: "bank.test", Host: "localhost", Addr: "::1"}, ""},
		"an MX inside":                               {nil, []string{"bank.test"}, maillog.Delivery{Domain: "bank.test", Host: "mx.bank.test", Addr: "10.0.0.1", Reused: true}, "bank.test"},
		"a filter, no look-ups":                      {nil, nil, maillog.Delivery{Domain: "bank.test", Host: "scan.test", Addr: "10.0.0.1"}, ""},
		"no look-ups, outside":                       {nil, nil, maillog.Delivery{Domain: "bank.test", Host: "mx.bank.test", Addr: "192.0.2.1"}, "bank.test"},
		"a cached connection, and another's look-up": {map[string]time.Duration{"hub.test": 0}, nil, maillog.Delivery{Domain: "bank.test", Reused: true}, ""},
		"suspended, and another's look-up":           {map[string]time.Duration{"hub.test": 0}, nil, maillog.Delivery{Domain: "bank.test", Suspended: true}, ""},
		"a relayhost":                                {nil, nil, maillog.Delivery{Domain: "bank.test", Host: "Relay.test"}, ""},
		"a cached connection":                        {nil, []string{"bank.test"}, maillog.Delivery{Domain: "bank.test", Reused: true}, "bank.test"},
		"in capitals":                                {nil, []string{"bank.test"}, maillog.Delivery{Domain: "BANK.Test", Reused: true}, "bank.test"},
		"a cached one, not known":                    {nil, []string{"other.test"}, maillog.Delivery{Domain: "bank.test", Reused: true}, ""},
		"no look-ups at all":                         {nil, nil, maillog.Delivery{Domain: "bank.test"}, "bank.test"},
		"an address for its domain":                  {nil, nil, maillog.Delivery{Domain: "[192.0.2.1]"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			for key, ago := range tt.lookups {
				w.now = noon.Add(-ago)
				w.Answer([]byte(key), 77)
			}
			for _, key := range tt.others {
				w.now = noon
				w.Answer([]byte(key), 78)
			}
			tt.d.PID, tt.d.At, tt.d.Host = 77, noon, cmp.Or(tt.d.Host, "mx.test")
			l, ok := w.nexthop(&tt.d)
			got := ""
			if ok && !l.name.id.IsZero() {
				got = l.name.id.Name
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestGrain: a look-up is of a delivery that began before it and ended after it, as far as
// the times of a log are known.
func TestGrain(t *testing.T) {
	for ago, want := range map[time.Duration]bool{
		12100 * time.Millisecond: true, 12101 * time.Millisecond: false, -logGrain: true, -logGrain - 1: false,
	} {
		w := newWorld(t, nil)
		w.now = noon.Add(-ago)
		w.Answer([]byte("hub.test"), 77)
		d := tls12
		d.At, d.PID, d.Domain, d.Host, d.Took = noon, 77, "bank.test", "mx.hub.test", 10*time.Second
		if l, ok := w.nexthop(&d); ok != want || ok && l.name.key != "hub.test" {
			t.Errorf("asked %s before the end: %t", ago, ok)
		}
	}
}

// TestNewestLookups: of each process the newest look-ups are remembered, and one for the
// same name once.
func TestNewestLookups(t *testing.T) {
	w := newWorld(t, nil)
	for n := range 3 * maxLookups {
		w.now = noon.Add(time.Duration(n) * time.Second)
		w.Answer(fmt.Appendf(nil, "d%d.test", n), 77)
		w.Answer([]byte("hub.test"), 78)
	}
	if all, _ := w.asked.by.Get(77); len(all) != maxLookups || all[maxLookups-1].name.key != fmt.Sprintf("d%d.test", 3*maxLookups-1) {
		t.Errorf("%d look-ups", len(all))
	}
	if all, _ := w.asked.by.Get(78); len(all) != 1 || !all[0].at.Equal(w.now) {
		t.Errorf("%d look-ups for one name", len(all))
	}
	d := refused // by error(8), without a host
	d.At, d.PID, d.Domain, d.Suspended = w.now, 78, "hub.test", true
	if l, ok := w.nexthop(&d); !ok || l.name.key != "hub.test" {
		t.Error("a suspended delivery is nobody's")
	}
}

// TestAskerIsNotKnown: over TCP or by proxy: nobody's process number is known.
func TestAskerIsNotKnown(t *testing.T) {
	w := newWorld(t, nil)
	w.Answer([]byte("hub.test"), 0)
	d := inClear
	d.At, d.Domain, d.Host = w.now, "bank.test", "mx.hub.test"
	if w.Delivered(&d); w.Stats().Unattributed != 1 {
		t.Errorf("%+v", w.Stats())
	}
}

// TestNewestOfTwo: of two next-hops that were asked for during a delivery the newest took
// it, if they were not asked for at once.
func TestNewestOfTwo(t *testing.T) {
	for times, want := range map[[2]time.Duration]bool{
		{9 * time.Second, 0}: true, {2 * time.Second, 0}: false, {2*logGrain - 1, 0}: false, {2 * logGrain, 0}: true,
		{time.Second, logGrain - 1}: false, {time.Second, logGrain}: true,
	} {
		w := newWorld(t, nil)
		w.Answer([]byte("a.test"), 77)
		w.now = w.now.Add(times[0])
		w.Answer([]byte("hub.test"), 77)
		w.now = w.now.Add(times[1])
		d := tls12
		d.At, d.PID, d.Domain, d.Host, d.Took = w.now, 77, "bank.test", "mx.hub.test", 10*time.Second
		w.Delivered(&d)
		if h, err := w.memory.Load(tlsstate.Identity{Kind: tlsstate.Destination, Name: "hub.test"}); err != nil || h.Last != 0 != want {
			t.Errorf("%s: %+v, %v", times, h, err)
		}
	}
}

// TestExplainsWhatIsForbidden: what Postfix's settings forbid is stated, and only that.
func TestExplainsWhatIsForbidden(t *testing.T) {
	for _, reason := range []string{"", "smtp_tls_security_level is dane"} {
		w := newWorld(t, func(_ *tlsstate.Policy, s *Settings) {
			s.Permission = Permission{Allowed: reason == "", Reason: reason}
		})
		w.pin("bank.test")
		e, err := w.Explain("bank.test")
		text := strings.Join(e.Rules, "\n")
		if err != nil || strings.Contains(text, "forbid holding mail: "+reason) != (reason != "") || strings.Contains(text, "forbid") != (reason != "") {
			t.Errorf("%v: %s", err, text)
		}
	}
}

// TestOwnTable: of a domain for which a table before ours has the answer Postfix asks
// us nothing. How it is reached says nothing of the one that was asked for before.
func TestOwnTable(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	w.deliver("bank.test", refused)
	before := len(w.events)
	for _, d := range []maillog.Delivery{tls12, inClear} {
		d.At, d.PID, d.QueueID, d.Domain, d.Host, d.Addr = w.now, 77, "Q99", "own.test", "mx.own.test", "192.0.2.1"
		w.Delivered(&d)
	}
	if len(w.events) != before || w.Stats().Unattributed != 2 || len(w.State().Waiting) != 1 {
		t.Errorf("%+v, %+v", w.events[before:], w.State().Waiting)
	}
}

// TestOwnTableAfterARoute: nor of the next-hop by way of which the mail of before went. One
// look-up may be of several messages by way of it, if the log is read late.
func TestOwnTableAfterARoute(t *testing.T) {
	w := newWorld(t, nil)
	w.Answer([]byte("hub.test"), 77)
	for n, to := range []string{"behind.test mx.hub.test", "own.test mx.own.test", "behind2.test mx.hub.test"} {
		d := tls12
		if n == 1 {
			d = inClear
		}
		d.At, d.PID, d.QueueID = w.now, 77, fmt.Sprint("Q", n)
		d.Domain, d.Host, _ = strings.Cut(to, " ")
		w.Delivered(&d)
	}
	if s := w.Stats(); s.Unattributed != 1 || s.Sent[tlsstate.TLS12] != 2 {
		t.Errorf("%+v", s)
	}
}

// TestLogIsReadLate: a delivery uses up no look-up that was made after it.
func TestLogIsReadLate(t *testing.T) {
	w := newWorld(t, nil)
	deliver := func(domain string, at time.Time) {
		d := tls12
		d.At, d.PID, d.Domain, d.Host = at, 77, domain, "mx.hub.test"
		w.Delivered(&d)
	}
	for later, lost := range map[time.Duration]uint64{5 * time.Second: 0, logGrain + 1: 0, logGrain: 1} {
		first, before := w.now, w.Stats().Unattributed
		w.Answer([]byte("hub.test"), 77)
		w.now = w.now.Add(later)
		w.Answer([]byte("hub.test"), 77) // for bank.test, by way of it
		deliver("hub.test", first)
		deliver("bank.test", w.now)
		if n := w.Stats().Unattributed - before; n != lost {
			t.Errorf("%s later: %d of 2 are nobody's", later, n)
		}
		w.days(1)
	}
}

// TestOtherHostIsDown: mail that waits for one host's TLS and for another host at all is
// released as any that is held.
func TestOtherHostIsDown(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	down := maillog.Delivery{Status: maillog.Deferred, Skipped: []string{"mx1.bank.test"}}
	for day := range 3 {
		if got := w.deliver("bank.test", down); got != (day < 2) {
			t.Errorf("day %d: encrypt %v", day+1, got)
		}
		w.days(1)
	}
}

// TestBlind: where no line about a delivery is read, no day counts, and mail would wait
// until it is returned.
func TestBlind(t *testing.T) {
	w := newWorld(t, rows(tlsstate.Row{Domain: "row.test", Least: tlsstate.TLS12}))
	lines := uint64(0)
	w.o.Lines = func() uint64 { return lines }
	w.pin("bank.test")
	answers := func(when string, want bool) {
		t.Helper()
		e, err := w.Explain("bank.test")
		if got := w.Answer([]byte("bank.test"), 77); got != want || e.Encrypt != want || err != nil || (w.Overview().Forbidden == "") != want {
			t.Errorf("%s: encrypt %v, explained %+v, error %v", when, got, e, err)
		}
		if !w.Answer([]byte("row.test"), 77) {
			t.Errorf("%s: a row is not held", when)
		}
	}
	retries := func() { // of what waits
		for range 48 {
			w.now = w.now.Add(time.Hour)
			w.Answer([]byte("other.test"), 78)
		}
	}
	lines++
	answers("at first", true)
	w.days(4)
	answers("after nothing was sent for days", true)
	retries()
	answers("after two days", true)
	kept := w.State() // a daemon that is started anew reads no line either
	w.Outbound = New(w.o)
	w.Restore(kept)
	lines = 0
	answers("after a restart", true)
	w.now = w.now.Add(time.Second)
	answers("after more", false)
	retries()
	answers("days later", false)
	lines++
	answers("with a line", true)
	w.days(2)
	lines++
	w.now = w.now.Add(time.Hour)
	answers("with lines now and then", true)
}

// TestBlindForOne: of a destination none of whose deliveries is found in the log no day
// counts either. It is not held for ever, and that is no secret. What another host passes
// on to a relay is no such delivery.
func TestBlindForOne(t *testing.T) {
	w := newWorld(t, rows(tlsstate.Row{Domain: "row.test", Least: tlsstate.TLS12}))
	w.settings.Load().Permission.Fallbacks = hops("mx.fallback.test:25")
	lines := uint64(0)
	w.o.Lines = func() uint64 { lines++; return lines }
	var log strings.Builder
	w.o.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.pin("hub.test")
	w.pin("own.test")
	holds := func(key string, want bool) {
		t.Helper()
		e, err := w.Explain(key)
		if got := w.Answer([]byte(key), 77); got != want || e.Encrypt != want || err != nil {
			t.Errorf("%s: encrypt %v, explained %+v, error %v", key, got, e, err)
		}
	}
	for hour := range 50 {
		for key, want := range map[string]bool{"hub.test": hour <= 48, "own.test": true, "row.test": true} {
			holds(key, want)
		}
		d := refused // of a process that is not known
		d.At, d.Domain, d.Host = w.now, "bank.test", "mx.hub.test"
		w.Delivered(&d)
		d = tls12 // of another host
		d.At, d.Domain, d.Host, d.Addr = w.now, "hub.test", "relay.other.test", "10.9.9.9"
		w.Delivered(&d)
		d = tls12 // by way of a fallback relay
		w.Answer([]byte("own.test"), 78)
		w.Answer([]byte("mx.fallback.test:25"), 78)
		d.At, d.PID, d.Domain, d.Host = w.now, 78, "own.test", "mx.fallback.test"
		w.Delivered(&d)
		w.now = w.now.Add(time.Hour)
	}
	if n := strings.Count(log.String(), "destination is not held any more"); n != 1 || !strings.Contains(log.String(), "no delivery to it was read") {
		t.Errorf("%d lines:\n%s", n, &log)
	}
	if e, err := w.Explain("hub.test"); err != nil || !strings.Contains(strings.Join(e.Rules, " "), "It is not held: no delivery to it was read since") {
		t.Errorf("%+v, %v", e, err)
	}
	w.deliver("hub.test", unknown)
	holds("hub.test", true)
}

// TestTLSIsNotLogged: at smtp_tls_loglevel = 0 every delivery looks as if in clear.
func TestTLSIsNotLogged(t *testing.T) {
	w := newWorld(t, func(p *tlsstate.Policy, s *Settings) {
		p.Stripped = tlsstate.Observe
		s.Permission.Unlogged = "smtp_tls_loglevel in /etc/postfix"
	})
	w.pin("bank.test")
	before := len(w.events)
	w.deliver("bank.test", inClear)
	if s := w.Stats(); len(w.events) != before || s.Unknown != 1 || s.Sent[tlsstate.Plaintext] != 0 {
		t.Errorf("%+v, %+v", w.events[before:], s)
	}
	if o := w.Overview(); o.Unlogged != "smtp_tls_loglevel in /etc/postfix" {
		t.Errorf("the overview states %q", o.Unlogged)
	}
}

// TestAddressIsNotQuoted: where Postfix logs addresses as they are, one may hold the rest
// of a line. Where it quotes them, what looks like that is a reply.
func TestAddressIsNotQuoted(t *testing.T) {
	for _, unquoted := range []bool{false, true} {
		w := newWorld(t, func(p *tlsstate.Policy, s *Settings) { p.Stripped = tlsstate.Observe; s.Permission.Unquoted = unquoted })
		w.pin("bank.test")
		doubtful := inClear
		doubtful.Doubtful = true
		w.deliver("bank.test", doubtful)
		w.deliver("bank.test", inClear)
		want := Stats{Unknown: 1, WouldHold: 1}
		if !unquoted {
			want = Stats{WouldHold: 2}
		}
		if s := w.Stats(); s.Unknown != want.Unknown || s.WouldHold != want.WouldHold {
			t.Errorf("unquoted %t: %+v", unquoted, s)
		}
	}
}

// What a fallback relay gets shows nothing of the recipient's domain, which was
// asked for before.
func TestFallback(t *testing.T) {
	w := newWorld(t, func(_ *tlsstate.Policy, s *Settings) {
		s.Permission.Fallbacks = hops("Fallback.test")
		s.Permission.Relays = hostsOf(s.Permission.Fallbacks)
	})
	w.pin("bank.test")
	for _, tt := range []struct {
		lookups []string
		domain  string
		reused  bool
		learned string
	}{
		{[]string{"bank.test", "fallback.test"}, "bank.test", false, ""},
		{nil, "bank.test", true, ""}, // over the connection of the one before, by another process
		{[]string{"fallback.test"}, "fallback.test", false, "fallback.test"},
		{[]string{"bank.test"}, "bank.test", false, "bank.test"},
		{[]string{"fallback.test", "bank.test"}, "bank.test", false, "bank.test"},
	} {
		for _, key := range tt.lookups {
			w.Answer([]byte(key), 77)
		}
		before := len(w.events)
		d := tls12
		d.At, d.PID, d.Domain, d.Host, d.Reused = w.now, 77, tt.domain, "MX.fallback.test", tt.reused
		if tt.lookups == nil {
			d.PID = 78
		}
		w.Delivered(&d)
		got := ""
		for _, v := range w.events[before:] {
			got += v.Identity.Name
		}
		if got != tt.learned {
			t.Errorf("%+v: learned of %q", tt, got)
		}
	}
}

// What goes by way of a relayhost shows nothing of the recipient's domain.
func TestRelayhostTeachesNothing(t *testing.T) {
	w := newWorld(t, nil)
	d := inClear
	d.At, d.PID, d.Domain, d.Host = w.now, 5, "bank.test", "Relay.test"
	w.Delivered(&d)
	if h, _ := w.memory.Load(tlsstate.Identity{Kind: tlsstate.Destination, Name: "bank.test"}); h.Last != 0 {
		t.Errorf("%+v", h)
	}
	if w.Stats().Unattributed != 1 {
		t.Errorf("%+v", w.Stats())
	}
}

// TestRelayedByOthers: what another host of the log passes on within our own network, or to
// us, or to a host of others than its own mail goes to, shows nothing of the recipient's
// domain, though we sent to that too.
func TestRelayedByOthers(t *testing.T) {
	for to, want := range map[string]uint64{
		"hub.test 10.0.0.1": 1, "localhost.test 127.0.0.1": 1, "Relay.test 192.0.2.1": 1, "smarthost.test 192.0.2.4": 1,
		"mx.bank.test 192.0.2.2": 0, "MX2.Bank.test 192.0.2.3": 0, " ": 0,
	} {
		w := newWorld(t, nil)
		w.pin("bank.test")
		d := inClear
		d.At, d.Domain = w.now, "bank.test"
		d.Host, d.Addr, _ = strings.Cut(to, " ")
		if w.Delivered(&d); w.Stats().Unattributed != want {
			t.Errorf("%s: %+v", to, w.Stats())
		}
		w.Answer([]byte("shop.test"), 77) // asked, and no delivery of our own shows where its mail goes
		d.Domain, d.Host, d.Addr = "shop.test", "mx.hoster.test", "192.0.2.5"
		if w.Delivered(&d); w.Stats().Unattributed != want {
			t.Errorf("not known where to: %+v", w.Stats())
		}
	}
}

// TestMovedToAnotherOrganisation: where this host's own mail goes counts, and from then on
// that of others there.
func TestMovedToAnotherOrganisation(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	w.Answer([]byte("bank.test"), 77)
	for i, tt := range []struct {
		pid  uint32
		host string
		want uint64
	}{{0, "mx.hoster.test", 1}, {77, "mx.hoster.test", 1}, {0, "mx2.hoster.test", 1}, {0, "mx.bank.test", 2}} {
		d := tls12
		d.At, d.PID, d.Domain, d.Host, d.Addr = w.now, tt.pid, "bank.test", tt.host, "192.0.2.5"
		if w.Delivered(&d); w.Stats().Unattributed != tt.want {
			t.Errorf("%d: %+v", i, w.Stats())
		}
	}
}

// TestFuture: a line that is dated later than tomorrow teaches nothing, counts for no
// day and is nothing that waits.
func TestFuture(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	tomorrow := tls12 // by the clock of another host
	tomorrow.At, tomorrow.Domain, tomorrow.Host = w.now.AddDate(0, 0, 1), "bank.test", "mx.bank.test"
	w.Delivered(&tomorrow)
	if days := w.State().Sent.Days; days[len(days)-1].Day != tlsstate.DayOf(tomorrow.At) {
		t.Errorf("tomorrow is not counted: %+v", days)
	}
	before := fmt.Sprint(w.State())
	for _, d := range []maillog.Delivery{refused, inClear, tls12} {
		d.At, d.Domain, d.Host = w.now.AddDate(0, 0, 2), "bank.test", "mx.bank.test"
		w.Delivered(&d)
	}
	if after := fmt.Sprint(w.State()); after != before || w.Stats().Unknown != 3 || w.Stats().Unattributed != 0 {
		t.Errorf("%s\nwas %s", after, before)
	}
}

// TestHostsAreNames: an address is no MX host.
func TestHostsAreNames(t *testing.T) {
	w := newWorld(t, nil)
	d := inClear
	d.At, d.Domain, d.Host, d.Addr = w.now, "bank.test", "192.0.2.1", "192.0.2.1"
	w.Delivered(&d)
	if h, _ := w.memory.Load(tlsstate.Identity{Kind: tlsstate.MX, Name: "192.0.2.1"}); h.Last != 0 {
		t.Errorf("%+v", h)
	}
}

func TestSteadyAnswersAllocateNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	key := []byte("bank.test")
	if n := testing.AllocsPerRun(1000, func() { w.Answer(key, 77) }); n != 0 {
		t.Errorf("%v allocations a look-up", n)
	}
}

// However many destinations there are, and however long their names, those of
// today are known, and the memory is bounded.
func TestManyNames(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 3 * maxNames {
		w.Answer(fmt.Appendf(nil, "d%d.test", i), 7)
	}
	w.Answer([]byte(strings.Repeat("x", 256)), 7)
	if n := len(w.names.young) + len(w.names.old); n > maxNames {
		t.Errorf("%d names", n)
	}
	w.Answer([]byte("bank.test"), 7)
	for i := range maxNames / 2 { // as many as are newest
		w.Answer(fmt.Appendf(nil, "d%d.test", i), 7)
	}
	d := tls12
	d.At, d.PID, d.QueueID, d.Domain, d.Host, d.Reused = w.now, 8, "Q1", "bank.test", "mx.bank.test", true
	w.Delivered(&d)
	if h, _ := w.memory.Load(tlsstate.Identity{Kind: tlsstate.Destination, Name: "bank.test"}); h.Last == 0 {
		t.Error("nothing was learned of a destination that was asked for just now")
	}
	for size, kept := range map[int]bool{maxKey: true, maxKey + 1: false} {
		if n := w.names.find([]byte(strings.Repeat("x", size))); (w.names.young[n.key] != nil) != kept {
			t.Errorf("a name of %d bytes is kept: %t", size, !kept)
		}
	}
}

func TestNames(t *testing.T) {
	for key, want := range map[string]string{
		"Bank.Test": "bank.test", "bücher.example": "xn--bcher-kva.example", "bank.test.": "bank.test",
		"[mx.bank.test]:25": "", "bank.test:587": "", "192.0.2.1": "", "2001:db8::1": "", "localhost": "", "a.localhost": "", "localhost.localdomain": "", ".test": "", ".a.test": "", "a..test": "", "[a.test": "", "a.test]": "", "": "", "mx": "",
	} {
		if got, _ := DestinationOf(key); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

func TestObjections(t *testing.T) {
	for level, allowed := range map[string]bool{"may": true, "dane": false, "half-dane": false, "encrypt": false, "secure": false, "none": false, "": false, "new": false} {
		if got := objection(level) == ""; got != allowed {
			t.Errorf("%s: %v", level, got)
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	w := newWorld(&testing.T{}, nil)
	w.pin("bank.test")
	key := []byte("bank.test")
	b.ReportAllocs()
	for b.Loop() {
		w.Answer(key, 77)
	}
}
