package alert

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// numbered is an incident of its own.
func numbered(n int) incident.Incident {
	i := stripped()
	i.ID, i.Identity.Name = uint64(n), fmt.Sprintf("10.0.%d.%d", n>>8&255, n&255)
	return i
}

// TestLimit: a few are sent one by one, the others together, and a quarter of
// an hour later it is as at first.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		a := start(Options{Host: "mail"}, to(r, Info))
		for n := range 10_000 {
			a.Change(changeOf(incident.Opened, numbered(n+1)))
			time.Sleep(6 * time.Millisecond) // a minute in all
		}
		synctest.Wait()
		if got := r.sent(); got != "opened opened opened opened opened" {
			t.Errorf("at first: %s", got)
		}
		a.Notice(Message{Key: "breaker", Severity: Critical, Title: "it tripped"})
		synctest.Wait()
		if got := r.sent(); got != "notice" {
			t.Errorf("a notice is not held back with incidents: %q", got)
		}
		time.Sleep(9*time.Minute - time.Second)
		if got := r.sent(); got != "" {
			t.Errorf("within ten minutes: %s", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		d := r.messages[0]
		if got := r.sent(); got != "digest" {
			t.Fatalf("after ten minutes: %s", got)
		}
		if d.Digest.Messages != 9995 || d.Digest.By["opened"] != 9995 || d.Severity != Critical || len(d.Digest.Few) != few {
			t.Errorf("got %+v", d.Digest)
		}
		if !strings.Contains(d.Text, "opened 9995") || !strings.Contains(d.Text, "10.0.0.6") {
			t.Errorf("text:\n%s", d.Text)
		}
		time.Sleep(15 * time.Minute)
		a.Change(changeOf(incident.Opened, numbered(1)))
		synctest.Wait()
		if got := r.sent(); got != "opened" {
			t.Errorf("later: %s", got)
		}
		closeAlerts(t, a)
		if s := a.Stats()["recorder"]; s != (Stats{Delivered: 8}) {
			t.Errorf("stats: %+v", s)
		}
	})
}

// TestLeast: each destination is sent what it wants, and what nobody wants is
// no part of the limit.
func TestLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, some := &recorder{}, &recorder{}
		a := start(Options{}, to(some, Critical), to(all, Warning))
		for range 100 {
			a.Change(incident.Change{What: incident.Pinned, At: noon, Identity: stripped().Identity})
		}
		domain := stripped()
		domain.Identity = tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank.example"}
		a.Change(changeOf(incident.Opened, domain))
		a.Change(changeOf(incident.Opened, stripped()))
		a.Change(changeOf(incident.Closed, stripped()))
		synctest.Wait()
		if got := all.sent(); got != "opened opened closed" {
			t.Errorf("warnings and worse: %s", got)
		}
		if got := some.sent(); got != "opened closed" {
			t.Errorf("critical: %s", got)
		}
		closeAlerts(t, a)
	})
}

// TestNotices: the same is sent once a day, whatever is new at once.
func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		a := start(Options{}, to(r, Info))
		gone := Message{Key: "starttls", Severity: Critical, Title: "STARTTLS is gone"}
		for _, tt := range []struct {
			after time.Duration
			n     Message
			want  string
		}{
			{0, gone, "notice"},
			{3 * time.Minute, gone, ""},
			{20 * time.Hour, gone, ""},
			{4 * time.Hour, gone, "notice"},
			{time.Hour, Message{Key: "starttls", Severity: Critical, Title: "the handshake fails"}, "notice"},
			{time.Hour, Message{Key: "starttls", Severity: Critical, Title: "the handshake works", Status: StatusClosed}, "notice"},
			{time.Hour, Message{Key: "starttls", Severity: Critical, Title: "the handshake works", Status: StatusClosed}, ""},
			{time.Hour, gone, "notice"},
			{0, Message{Key: "certificate", Severity: Warning, Title: "13 days left"}, "notice"},
			{0, Message{Key: "ahead", Severity: Critical, Title: "x", At: noon.AddDate(1, 0, 0)}, "notice"}, // by a clock that was ahead
			{0, Message{Key: "ahead", Severity: Critical, Title: "x", At: noon}, "notice"},
		} {
			time.Sleep(tt.after)
			a.Notice(tt.n)
			synctest.Wait()
			if got := r.sent(); got != tt.want {
				t.Errorf("%q after %s: got %q, want %q", tt.n.Title, tt.after, got, tt.want)
			}
		}
		for n := range 10 * maxNotices {
			a.Notice(Message{Key: fmt.Sprint("key", n), Title: "x"})
		}
		if n := len(a.matters); n > maxNotices {
			t.Errorf("%d matters are remembered", n)
		}
		closeAlerts(t, a)
	})
}

// TestNotesOfTheLimit: a destination that gets no digest is sent at once that mail waits,
// though the limit is used up: nothing else states it there.
func TestNotesOfTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, other := &recorder{}, &recorder{}
		d := to(r, Warning)
		d.repeats = true
		a := start(Options{}, d, to(other, Warning))
		for n := range burst {
			a.Change(changeOf(incident.Opened, numbered(n+1)))
		}
		synctest.Wait()
		r.sent()
		other.sent()
		for _, what := range []incident.What{incident.Waiting, incident.Holding, incident.Grown, incident.Pinned} {
			a.Change(changeOf(what, stripped()))
		}
		synctest.Wait()
		if got := r.sent() + other.sent(); got != "waiting holding" {
			t.Errorf("at once %q", got)
		}
		closeAlerts(t, a)
		if got := r.sent() + other.sent(); got != "digest" {
			t.Errorf("then %q", got)
		}
	})
}

// TestDigestKeepsItsID: a digest that waits is saved with the ID that it is tried with.
func TestDigestKeepsItsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, file := &recorder{}, &disk{}
		a := start(Options{Save: file.save}, to(r, Info))
		for n := range burst + 1 {
			a.Change(changeOf(incident.Opened, numbered(n+1)))
		}
		time.Sleep(digestAfter - time.Second)
		r.fail(temporary{errDown, httpTimeout})
		r.sent()
		time.Sleep(2*time.Second + savePause)
		synctest.Wait()
		if saved := file.read(t).Waiting["recorder"]; len(saved) != 1 || len(r.messages) != 1 || saved[0].ID != r.messages[0].ID {
			t.Errorf("saved %v, tried %v", saved, r.messages)
		}
		closeAlerts(t, a)
	})
}

// TestNotesHoldNothingBack: many notices, or notes of new pins, hold back neither an
// incident nor each other.
func TestNotesHoldNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notice := func(a *Alerts, n int) { a.Notice(Message{Key: fmt.Sprint("key", n), Title: "x"}) }
		note := func(a *Alerts, n int) {
			a.Change(incident.Change{What: incident.Pinned, At: noon, Identity: numbered(n).Identity})
		}
		for _, many := range []func(*Alerts, int){notice, note} {
			r := &recorder{}
			a := start(Options{}, to(r, Info))
			for n := range burst + 1 {
				many(a, n)
			}
			synctest.Wait()
			if n := len(strings.Fields(r.sent())); n != burst {
				t.Errorf("%d at first, want %d", n, burst)
			}
			a.Change(changeOf(incident.Opened, numbered(1)))
			synctest.Wait()
			if got := r.sent(); got != "opened" {
				t.Errorf("got %q", got)
			}
			notice(a, 100)
			note(a, 100)
			synctest.Wait()
			if n := len(strings.Fields(r.sent())); n != 1 {
				t.Errorf("%d of a notice and a note, want that of the other kind", n)
			}
			closeAlerts(t, a)
		}
	})
}

// TestOneHangs: the others are served meanwhile, nobody waits, and what finds
// no room is counted.
func TestOneHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, good := &recorder{hang: make(chan struct{})}, &recorder{}
		slow := to(stuck, Info)
		slow.Name = "slow"
		var log bytes.Buffer
		a := start(Options{PerHour: 3600, Log: slog.New(slog.NewTextHandler(&log, nil))}, slow, to(good, Info))
		for range 200 {
			a.Change(changeOf(incident.Opened, stripped()))
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := strings.Count(good.sent(), "opened"); n != 200 {
			t.Errorf("%d delivered, want 200", n)
		}
		s := a.Stats()["slow"]
		if s.Failed == 0 || s.Dropped != 200-64 || s.Delivered != 0 || strings.Count(log.String(), "alert dropped") != int(s.Dropped) {
			t.Errorf("got %+v", s)
		}
		if n := strings.Count(log.String(), "could not deliver"); n != 1 {
			t.Errorf("%d lines:\n%s", n, &log)
		}
		close(stuck.hang)
		time.Sleep(lastRetry)
		synctest.Wait()
		if n := strings.Count(log.String(), "delivered again"); n != 1 {
			t.Errorf("%d lines:\n%s", n, &log)
		}
		closeAlerts(t, a)
		if got := a.Stats()["slow"]; got.Delivered+got.Dropped != 200 {
			t.Errorf("not all are accounted for: %+v", got)
		}
	})
}

// TestCloseIsBounded, though a destination hangs; the others get all that is
// left.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, good := &recorder{hang: make(chan struct{})}, &recorder{}
		a := start(Options{}, to(stuck, Info), to(good, Info))
		for n := range 20 {
			a.Change(changeOf(incident.Opened, numbered(n+1)))
		}
		begun := time.Now()
		closeAlerts(t, a)
		if took := time.Since(begun); took != time.Second {
			t.Errorf("took %s", took)
		}
		if got := good.sent(); got != "opened opened opened opened opened digest" {
			t.Errorf("got %s", got)
		}
		a.Change(changeOf(incident.Opened, stripped()))
		a.SetDestinations(t.Context(), []*Destination{to(good, Info)})
		closeAlerts(t, a)
		if got := good.sent(); got != "" {
			t.Errorf("after the end: %s", got)
		}
	})
}

func TestSetDestinations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &recorder{}, &recorder{}
		a := start(Options{}, to(first, Info))
		a.Change(changeOf(incident.Opened, stripped()))
		a.SetDestinations(t.Context(), []*Destination{to(second, Info)})
		a.Change(changeOf(incident.Closed, stripped()))
		closeAlerts(t, a)
		if got := first.sent() + ", " + second.sent(); got != "opened, closed" {
			t.Errorf("got %s", got)
		}
		if s := a.Stats()["recorder"]; s.Delivered != 2 {
			t.Errorf("counts: %+v", s)
		}
	})
}

// TestRepeated: a destination that forgets is sent every minute what is open.
func TestRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		d := to(r, Warning)
		d.repeats = true
		thin, warning := stripped(), stripped()
		thin.KnownPlaintext = true
		warning.ID, warning.Identity.Kind = 3, tlsstate.Domain
		a := start(Options{Open: func() []incident.Incident {
			return []incident.Incident{warning, numbered(2), thin, numbered(1)}
		}}, d)
		a.Notice(Message{Key: "breaker", Severity: Critical, Title: "it tripped"})
		a.Notice(Message{Key: "over", Severity: Critical, Title: "it began"})
		a.Notice(Message{Key: "over", Severity: Critical, Title: "it is over", Status: StatusClosed})
		time.Sleep(2*repeatEvery + time.Second)
		synctest.Wait()
		if len(r.repeats) != 2 {
			t.Fatalf("%d times, want 2", len(r.repeats))
		}
		var keys []string
		for _, m := range r.repeats[0] {
			keys = append(keys, m.Key)
		}
		if got := strings.Join(keys, " "); got != "breaker incident-2 incident-1 incident-3" {
			t.Errorf("got %s", got)
		}
		r.fail(errDown)
		time.Sleep(repeatEvery)
		synctest.Wait()
		if s := a.Stats()["recorder"]; s != (Stats{Delivered: 3, Failed: 1}) {
			t.Errorf("counts: %+v", s)
		}
		closeAlerts(t, a)
	})
}

func TestTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, bad, stuck := &recorder{}, &recorder{err: errDown}, &recorder{hang: make(chan struct{})}
		results := Test(t.Context(), []*Destination{to(good, Critical), to(bad, Info), to(stuck, Info)}, "mail")
		if r := results[0]; r.Err != nil || r.Answer != "taken" || good.sent() != "test" {
			t.Errorf("got %+v", r)
		}
		if r := results[1]; r.Err != errDown {
			t.Errorf("got %+v", r)
		}
		if r := results[2]; r.Err != context.DeadlineExceeded || r.Took != httpTimeout {
			t.Errorf("got %+v", r)
		}
	})
}

func TestBreakerNotice(t *testing.T) {
	names := []ratchet.BreakerName{{Name: "bank.example"}, {Name: "<script>.example"}}
	for _, tt := range []struct {
		answer ratchet.Answer
		cause  string
		want   []string
		over   bool
	}{
		{ratchet.Suspended, "STARTTLS is not offered", []string{"STARTTLS is not offered", "bank.example", "suspended"}, false},
		{ratchet.Suspended, "", []string{"No encrypted session"}, false},
		{ratchet.Softened, "", []string{"STARTTLS of this server works", "tempfail", "?script?.example"}, false},
		{ratchet.Armed, "", []string{"armed again"}, true},
	} {
		n := BreakerNotice(ratchet.BreakerState{Answer: tt.answer, Since: noon, Silent: names}, tt.cause)
		if n.Severity != Critical || (n.Status == StatusClosed) != tt.over || n.Key != "breaker" {
			t.Errorf("%s: %+v", tt.answer, n)
		}
		m := n.from("mail")
		for _, want := range tt.want {
			if !strings.Contains(m.Title+"\n"+m.Text, want) {
				t.Errorf("%s: no %q in\n%s\n%s", tt.answer, want, m.Title, m.Text)
			}
		}
		if claims := strings.Contains(m.Text, "Many pinned peers"); claims != (tt.answer == ratchet.Suspended && tt.cause == "") || strings.Contains(m.Text, "?peer?") {
			t.Errorf("%s for %q: %s", tt.answer, tt.cause, m.Text)
		}
	}
}

// TestNewDestination: a destination that is new is sent what is open, as a
// digest where that is much; one that was there before is not.
func TestNewDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		many := 2
		open := func() (all []incident.Incident) {
			for n := range many {
				all = append(all, numbered(n+1))
			}
			return all
		}
		named := func(r *recorder, name string) *Destination {
			d := to(r, Warning)
			d.Name = name
			return d
		}
		first := &recorder{}
		a := start(Options{Open: open}, named(first, "first"))
		synctest.Wait()
		if got := first.sent(); got != "opened opened" {
			t.Errorf("at the first start: %q", got)
		}
		state := a.State()
		closeAlerts(t, a)

		second := &recorder{}
		a = start(Options{State: state, Open: open}, named(first, "first"), named(second, "second"))
		synctest.Wait()
		if got := first.sent() + ", " + second.sent(); got != ", opened opened" {
			t.Errorf("at the second start: %q", got)
		}
		many = 5
		a.SetDestinations(t.Context(), []*Destination{named(second, "fifth")})
		synctest.Wait()
		if got := second.sent(); got != "opened opened opened opened opened" {
			t.Errorf("five: %q", got)
		}
		many = 6
		a.SetDestinations(t.Context(), []*Destination{named(first, "first"), named(second, "sixth")})
		synctest.Wait()
		if got := second.sent(); got != "digest" {
			t.Errorf("six: %q", got)
		}
		first.sent()
		third := &recorder{}
		many = 20
		a.SetDestinations(t.Context(), []*Destination{named(first, "first"), named(third, "third")})
		synctest.Wait()
		if d := third.messages[0]; d.Digest == nil || d.Title != "20 alerts open when this destination was added" {
			t.Errorf("got %+v", d)
		}
		if got := first.sent() + ", " + third.sent(); got != ", digest" {
			t.Errorf("after a reload: %q", got)
		}
		closeAlerts(t, a)
	})
}

// TestUrgency: that a critical matter is over is not shown as critical.
func TestUrgency(t *testing.T) {
	i := stripped()
	i.Closed, i.ClosedBy = noon, incident.Met
	c := changeOf(incident.Closed, i)
	m := messageOf(&c, "mail")
	if m.Severity != Critical || m.Urgency() != Info || label(m) != "resolved" {
		t.Errorf("severity %s, urgency %s, label %s", m.Severity, m.Urgency(), label(m))
	}
}
