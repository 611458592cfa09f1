package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/internal/incident"
)

// disk keeps the newest state, as a file does.
type disk struct {
	mu   sync.Mutex
	json []byte
}

func (d *disk) save(s State) (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.json, err = json.Marshal(s)
	return err
}

func (d *disk) read(t *testing.T) (s State) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.json == nil {
		return s
	}
	if err := json.Unmarshal(d.json, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDeadForADay: a destination that is away for a day gets everything when it is
// back, the oldest of each matter first, and is not tried all the time.
func TestDeadForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{err: temporary{error: errDown}}
		a := start(Options{PerHour: 3600}, to(r, Info))
		closed := numbered(1)
		closed.Closed, closed.ClosedBy = noon, incident.Met
		for n := range 5 {
			a.Change(changeOf(incident.Opened, numbered(n+1)))
		}
		a.Change(changeOf(incident.Closed, closed))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := len(strings.Fields(r.sent())); n > 100 { // several quick ones each time
			t.Errorf("tried %d times in a day", n)
		}
		r.fail(nil)
		time.Sleep(lastRetry)
		synctest.Wait()
		if got := strings.Fields(r.sent()); len(got) != 6 || strings.Count(strings.Join(got, " "), "opened") != 5 {
			t.Errorf("then %q", got)
		}
		closeAlerts(t, a)
		if s := a.Stats()["recorder"]; s.Delivered != 6 || s.Dropped != 0 || s.Failed == 0 {
			t.Errorf("counts: %+v", s)
		}
	})
}

// TestNotDelivered: what waits at a stop, or when the process is killed, is sent
// after the next start, and once; what was held back for a digest too.
func TestNotDelivered(t *testing.T) {
	for _, killed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			hanging, file := &recorder{hang: make(chan struct{})}, &disk{}
			a := start(Options{Save: file.save}, to(hanging, Info))
			for n := range burst + 1 {
				a.Change(changeOf(incident.Opened, numbered(n+1)))
			}
			time.Sleep(2 * savePause)
			state := file.read(t)
			closeAlerts(t, a)
			if !killed {
				state = file.read(t)
			}

			works := &recorder{}
			a = start(Options{State: state, Save: file.save}, to(works, Info))
			synctest.Wait()
			if got := works.sent(); strings.Count(got, "opened") != 5 || strings.Count(got, "digest") != 1 {
				t.Errorf("killed %t: after a restart %q", killed, got)
			}
			closeAlerts(t, a)
			if left := file.read(t).Waiting; len(left) > 0 {
				t.Errorf("killed %t: %d wait", killed, len(left))
			}
			a = start(Options{State: file.read(t)}, to(works, Info))
			closeAlerts(t, a)
			if got := works.sent(); got != "" {
				t.Errorf("killed %t: again %q", killed, got)
			}
		})
	}
}

// TestReplaced: a reload in an outage keeps what waits, and what waits for a
// destination that is left out for now.
func TestReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away, back := &recorder{err: temporary{error: errDown}}, &recorder{}
		a := start(Options{}, to(away, Info))
		a.Change(changeOf(incident.Opened, stripped()))
		a.SetDestinations(t.Context(), nil)
		if n := len(a.State().Waiting["recorder"]); n != 1 {
			t.Errorf("%d wait", n)
		}
		a.SetDestinations(t.Context(), []*Destination{to(back, Info)})
		synctest.Wait()
		if got := back.sent(); !strings.HasPrefix(got, "opened") {
			t.Errorf("got %q", got)
		}
		closeAlerts(t, a)
	})
}

// TestFormerDestination: what waits for a destination that was removed is given up
// after three days, in memory and on the disk, without a restart.
func TestFormerDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		file := &disk{}
		a := start(Options{Save: file.save, Log: slog.New(slog.NewTextHandler(&log, nil))}, to(&recorder{err: temporary{error: errDown}}, Info))
		a.Change(changeOf(incident.Opened, stripped()))
		a.SetDestinations(t.Context(), nil)
		time.Sleep(keepFor - time.Hour)
		if n := len(file.read(t).Waiting["recorder"]); n != 1 {
			t.Errorf("%d wait after less than three days, want 1", n)
		}
		time.Sleep(time.Hour + 2*savePause)
		synctest.Wait()
		if s := file.read(t); len(s.Waiting) != 0 || len(a.State().Waiting) != 0 {
			t.Errorf("after three days %v wait", s.Waiting)
		}
		if s := a.Stats()["recorder"]; s.Dropped != 1 || strings.Count(log.String(), "it waited for 3 days, and its destination was removed") != 1 {
			t.Errorf("%+v:\n%s", s, &log)
		}
		closeAlerts(t, a)
	})
}

// TestGivenUp: a message that alone can't be delivered holds up no other, and is
// given up in the end, or at once where it is refused for good. Each is logged.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := &recorder{err: temporary{error: errDown}}
		a := start(Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, to(r, Info))
		a.Change(changeOf(incident.Opened, numbered(1)))
		synctest.Wait()
		r.only("incident-1")
		a.Change(changeOf(incident.Opened, numbered(2)))
		time.Sleep(time.Hour)
		synctest.Wait()
		if s := a.Stats()["recorder"]; s.Delivered != 1 || s.Dropped != 0 {
			t.Errorf("%+v, want the second delivered", s)
		}
		time.Sleep(keepFor + lastRetry)
		synctest.Wait()
		if s := a.Stats()["recorder"]; s.Delivered != 1 || s.Dropped != 1 {
			t.Errorf("%+v, want the first dropped", s)
		}
		r.only("")
		r.fail(errDown)
		a.Change(changeOf(incident.Opened, numbered(3)))
		synctest.Wait()
		if s := a.Stats()["recorder"]; s.Dropped != 2 || strings.Count(log.String(), "alert dropped") != 2 {
			t.Errorf("%+v:\n%s", s, &log)
		}
		closeAlerts(t, a)
	})
}

// TestRetryAfter: a server that names a time is left alone until then, though
// something new comes, and after a reload, a stop or a crash. That time is an hour away
// at most, whatever the file or the clock states.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, file := &recorder{err: temporary{errDown, time.Hour}}, &disk{}
		a := start(Options{Save: file.save}, to(r, Info))
		a.Change(changeOf(incident.Opened, numbered(1)))
		synctest.Wait()
		r.fail(nil)
		a.Change(changeOf(incident.Opened, numbered(2)))
		a.SetDestinations(t.Context(), []*Destination{to(r, Info)})
		time.Sleep(2 * savePause)
		killed := file.read(t)
		closeAlerts(t, a)
		stopped := file.read(t)
		if !stopped.NotBefore["recorder"].Equal(killed.NotBefore["recorder"]) {
			t.Errorf("%v is left alone, and by a crash %v", stopped.NotBefore, killed.NotBefore)
		}
		a = start(Options{State: killed}, to(r, Info))
		time.Sleep(59 * time.Minute)
		if got := r.sent(); got != "opened" {
			t.Errorf("before its time: %q", got)
		}
		time.Sleep(2 * firstRetry)
		if got := r.sent(); got != "opened opened" {
			t.Errorf("then: %q", got)
		}
		closeAlerts(t, a)
	})
}

// TestStateIsSaved at once where nothing is sent: when a server wants to be left alone, and
// when a notice that no destination gets begins.
func TestStateIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := &disk{}
		slow := &Destination{Name: "slow", Least: Warning, timeout: httpTimeout, try: func(context.Context, ...*Message) (string, error) {
			time.Sleep(3 * time.Second)
			return "", temporary{errDown, time.Hour}
		}}
		a := start(Options{Save: file.save}, slow)
		time.Sleep(time.Minute)
		a.Notice(Message{Key: "breaker", Severity: Info, Title: "x"})
		time.Sleep(2 * savePause)
		if s := file.read(t); len(s.Matters) != 1 {
			t.Errorf("%d matters", len(s.Matters))
		}
		a.Change(changeOf(incident.Opened, stripped()))
		time.Sleep(6 * time.Second)
		if s := file.read(t); len(s.NotBefore) != 1 || len(s.Waiting["slow"]) != 1 {
			t.Errorf("saved %+v", s)
		}
		closeAlerts(t, a)
	})
}

// TestRepeatsWhatIsOpen: one that is open is repeated, and nothing is where none is.
func TestRepeatsWhatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for open, want := range []int{0, 1} {
			r := &recorder{}
			d := to(r, Info)
			d.repeats = true
			a := start(Options{Open: func() []incident.Incident { return []incident.Incident{numbered(1)}[:open] }}, d)
			time.Sleep(repeatEvery + time.Second)
			synctest.Wait()
			if n := len(r.messages) + len(r.repeats); n != want {
				t.Errorf("%d open: sent %d times", open, n)
			}
			closeAlerts(t, a)
		}
	})
}

// TestRepeatsAllTheSame: an Alertmanager that names a time has its next turn, so that what
// is open does not expire there.
func TestRepeatsAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, file := &recorder{err: temporary{errDown, 10 * time.Minute}}, &disk{}
		d := to(r, Info)
		d.repeats = true
		a := start(Options{Save: file.save, Open: func() []incident.Incident { return []incident.Incident{numbered(1), numbered(2)} }}, d)
		time.Sleep(repeatEvery + 5*time.Minute)
		synctest.Wait()
		if n := len(r.repeats); n != 6 {
			t.Errorf("sent %d times in six minutes", n)
		}
		if s := file.read(t); len(s.NotBefore) != 1 {
			t.Errorf("saved %+v", s)
		}
		r.fail(nil)
		a.Change(incident.Change{What: incident.Pinned, At: noon, Identity: stripped().Identity})
		time.Sleep(repeatEvery + 30*time.Second)
		synctest.Wait()
		if n, got := len(r.repeats), r.sent(); n != 7 || got != "pinned" {
			t.Errorf("then sent %d times, and %q", n, got)
		}
		closeAlerts(t, a)
	})
}

// TestRetryAfterIsBounded: a date far in the future in the file keeps no alert back for
// more than an hour.
func TestRetryAfterIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		a := start(Options{State: State{NotBefore: map[string]time.Time{"recorder": time.Now().AddDate(300, 0, 0)}, Destinations: []string{"recorder"}}}, to(r, Info))
		a.Change(changeOf(incident.Opened, numbered(1)))
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := r.sent(); got != "opened" {
			t.Errorf("got %q", got)
		}
		closeAlerts(t, a)
	})
}

// TestPauses: a destination that is away is tried after a minute, two, four, up to four
// hours, for three days.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []string
		last := time.Now()
		d := &Destination{Name: "away", timeout: httpTimeout, try: func(context.Context, ...*Message) (string, error) {
			tries = append(tries, time.Since(last).String())
			last = time.Now()
			return "", temporary{errDown, 2 * httpTimeout} // no second try at once
		}}
		a := start(Options{}, d)
		a.Change(changeOf(incident.Opened, numbered(1)))
		time.Sleep(80 * time.Hour)
		synctest.Wait()
		want := "0s 1m0s 2m0s 4m0s 8m0s 16m0s 32m0s 1h4m0s 2h8m0s" + strings.Repeat(" 4h0m0s", 17)
		if got := strings.Join(tries, " "); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if s := a.Stats()["away"]; s.Dropped != 1 {
			t.Errorf("%+v", s)
		}
		closeAlerts(t, a)
	})
}

// TestTooMuchInTheFile: a full queue and a digest are read, and no more.
func TestTooMuchInTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for n, dropped := range map[int]uint64{64: 0, 65: 0, 66: 1} {
			state := State{Waiting: map[string][]Waiting{}, Destinations: []string{"recorder"}}
			for k := range n {
				c := changeOf(incident.Opened, numbered(k+1))
				state.Waiting["recorder"] = append(state.Waiting["recorder"], Waiting{messageOf(&c, "mail"), time.Now()})
			}
			a := start(Options{State: state}, to(&recorder{}, Info))
			synctest.Wait()
			if s := a.Stats()["recorder"]; s.Dropped != dropped || s.Delivered != min(uint64(n), 65) {
				t.Errorf("of %d: %+v", n, s)
			}
			closeAlerts(t, a)
		}
	})
}

// TestPauseIsByTime: that many alerts come while a destination is away does not make
// its pause longer.
func TestPauseIsByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{err: temporary{error: errDown}}
		a := start(Options{PerHour: 3600}, to(r, Info))
		for n := range 20 {
			a.Change(changeOf(incident.Opened, numbered(n+1)))
			time.Sleep(30 * time.Second)
		}
		r.fail(nil)
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		if s := a.Stats()["recorder"]; s.Delivered != 20 {
			t.Errorf("%+v a quarter of an hour after ten minutes away", s)
		}
		closeAlerts(t, a)
	})
}

// TestDeliveredAgain: the end of a failure is logged, though a reload came meanwhile.
func TestDeliveredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := &recorder{err: temporary{error: errDown}}
		a := start(Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, to(r, Info))
		a.Change(changeOf(incident.Opened, stripped()))
		synctest.Wait()
		for range 3 {
			a.SetDestinations(t.Context(), []*Destination{to(r, Info)})
			synctest.Wait()
		}
		r.fail(nil)
		a.SetDestinations(t.Context(), []*Destination{to(r, Info)})
		synctest.Wait()
		closeAlerts(t, a)
		if begins, ends := strings.Count(log.String(), "could not deliver"), strings.Count(log.String(), "delivered again"); begins != 1 || ends != 1 {
			t.Errorf("%d begins, %d ends:\n%s", begins, ends, &log)
		}
	})
}

// TestSaving: a state that could not be saved is saved later, though nothing changes;
// and what no destination gets saves nothing.
func TestSaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full, saved atomic.Int64
		r := &recorder{err: temporary{error: errDown}}
		full.Store(1)
		a := start(Options{Save: func(s State) error {
			if full.Load() > 0 {
				return errDown
			}
			saved.Add(1)
			return nil
		}}, to(r, Warning))
		a.Change(changeOf(incident.Opened, stripped()))
		time.Sleep(5 * time.Second)
		full.Store(0)
		time.Sleep(2 * firstRetry)
		synctest.Wait()
		if n := saved.Load(); n != 1 {
			t.Errorf("saved %d times, want 1", n)
		}
		a.Change(incident.Change{What: incident.Pinned, At: noon, Identity: stripped().Identity})
		time.Sleep(2 * savePause)
		if n := saved.Load(); n != 1 {
			t.Errorf("saved %d times, want 1: nobody gets that", n)
		}
		closeAlerts(t, a)
	})
}

// TestRepeaterIsBack: what waits for an Alertmanager is sent as soon as what is
// repeated arrives there.
func TestRepeaterIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{err: temporary{error: errDown}}
		d := to(r, Info)
		d.repeats = true
		a := start(Options{Open: func() []incident.Incident { return []incident.Incident{numbered(1), numbered(2)} }}, d)
		a.Change(incident.Change{What: incident.Pinned, At: noon, Identity: stripped().Identity})
		time.Sleep(8 * time.Hour)
		r.sent()
		r.fail(nil)
		time.Sleep(2 * repeatEvery)
		synctest.Wait()
		if got := r.sent(); !strings.HasPrefix(got, "pinned") {
			t.Errorf("got %q", got)
		}
		closeAlerts(t, a)
	})
}

// TestRepeatsWhileManyWait: what is open is repeated every minute though many messages
// wait and each takes its time: else it would be taken for closed.
func TestRepeatsWhileManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last, longest, sent := time.Now(), time.Duration(0), 0
		d := &Destination{Name: "slow", timeout: httpTimeout, repeats: true, try: func(_ context.Context, all ...*Message) (string, error) {
			time.Sleep(httpTimeout - time.Second/10)
			if all[0].What == string(incident.Opened) {
				last, longest = time.Now(), max(longest, time.Since(last))
			} else {
				sent++
			}
			return "taken", nil
		}}
		a := start(Options{PerHour: 1, Open: func() []incident.Incident { return []incident.Incident{numbered(1)} }}, d)
		for n := range backlog {
			a.Change(changeOf(incident.Holding, numbered(n+2))) // which no digest states there
		}
		time.Sleep(10 * time.Minute)
		closeAlerts(t, a)
		if sent != backlog || longest > repeatEvery+2*httpTimeout {
			t.Errorf("%d of %d that waited are sent, what is open %s apart", sent, backlog, longest)
		}
	})
}
