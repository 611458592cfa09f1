package alert

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestMatters: a restart in the middle of a matter reports nothing again, and its
// end is sent to whoever was sent the worst of it.
func TestMatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := func(kept []byte) (all, worst *recorder, a *Alerts) {
			var state State
			if err := json.Unmarshal(kept, &state); err != nil {
				t.Fatal(err)
			}
			all, worst = &recorder{}, &recorder{}
			return all, worst, start(Options{State: state}, to(all, Info), to(worst, Critical))
		}
		broken := Message{Key: "starttls", Severity: Critical, Title: "STARTTLS is gone"}
		worse := Message{Key: "breaker", Severity: Critical, Title: "somebody strips"}
		lesser := Message{Key: "breaker", Severity: Warning, Title: "suspended"}
		over := Message{Key: "breaker", Severity: Critical, Title: "armed", Status: StatusClosed}
		kept := []byte("{}")
		for i, step := range []struct {
			notices    []Message
			all, worst string
		}{
			{[]Message{over}, "", ""}, // of what never was
			{[]Message{broken, worse, lesser}, "open open open", "open open"},
			{[]Message{broken, lesser}, "", ""},
			{[]Message{over, over, broken}, "closed", "closed"},
			{[]Message{over}, "", ""},
			{[]Message{lesser}, "open", ""},
			{[]Message{over}, "closed", ""},
		} {
			all, worst, a := begin(kept) // each after a restart
			for _, n := range step.notices {
				a.Notice(n)
			}
			synctest.Wait()
			if got := statuses(all); got != step.all {
				t.Errorf("step %d: sent %q, want %q", i, got, step.all)
			}
			if got := statuses(worst); got != step.worst {
				t.Errorf("step %d: the critical ones alone: %q, want %q", i, got, step.worst)
			}
			var err error
			if kept, err = json.Marshal(a.State()); err != nil {
				t.Fatal(err)
			}
			closeAlerts(t, a)
			time.Sleep(time.Minute)
		}
	})
}

// TestMattersBad: what was kept is a file, and may hold anything.
func TestMattersBad(t *testing.T) {
	bad := []Matter{{}, {Message: &Message{Key: "over", Status: StatusClosed}}}
	for range 3 * maxNotices {
		bad = append(bad, Matter{Message: &Message{Key: strings.Repeat("x", len(bad)), Status: StatusOpen}})
	}
	a := start(Options{State: State{Matters: bad}})
	if n := len(a.State().Matters); n != maxNotices {
		t.Errorf("%d matters, want %d", n, maxNotices)
	}
	closeAlerts(t, a)
}

// FuzzState: whatever a state file holds, alerts start, keep no more than they
// may, and what they keep can be written again.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"matters":[{"message":{"key":"starttls","status":"open","severity":"critical"},"worst":"critical"}],"destinations":["mail"]}`))
	f.Add([]byte(`{"matters":[{"message":null},{}],"destinations":null}`))
	f.Add([]byte(`{"waiting":{"recorder":[{},{"what":"opened","key":"<x>","queued":"2000-01-01T00:00:00Z"},{"what":"opened","key":"y","queued":"2999-01-01T00:00:00Z"}]}}`))
	f.Fuzz(func(t *testing.T, kept []byte) {
		var s State
		if json.Unmarshal(kept, &s) != nil {
			return
		}
		a := start(Options{State: s})
		got := a.State()
		closeAlerts(t, a)
		if _, err := json.Marshal(got); err != nil || len(got.Matters) > maxNotices {
			t.Errorf("%d matters: %v", len(got.Matters), err)
		}
		for name, all := range got.Waiting {
			if len(all) > backlog+1 {
				t.Errorf("%d wait for %s", len(all), name)
			}
			for _, m := range all {
				checkInert(t, m.Key, m.Title, m.Text, strings.Join(m.Next, "\n"))
				_ = alertOf(m.Message, noon)
			}
		}
	})
}

func statuses(r *recorder) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var words []string
	for _, m := range r.messages {
		words = append(words, string(m.Status))
	}
	return strings.Join(words, " ")
}
