package ratchet_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// TestBreakerState: a restart changes nothing.
func TestBreakerState(t *testing.T) {
	f := newBreakerFixture(t, tlsstate.Tempfail)
	all := crowd(16)
	f.pinAll(t, all)
	f.check = check{false, day(20)}
	f.strip(t, all[:6], day(20), time.Second)
	for range 2 { // in the middle of counting, and tripped
		before := f.State(day(20).Add(time.Minute))
		text, err := json.Marshal(before)
		if err != nil {
			t.Fatal(err)
		}
		var read ratchet.BreakerState
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		o := newInstallation()
		o.SelfCheck = f.check.last
		next := ratchet.NewBreaker(o)
		next.Restore(read)
		if diff := cmp.Diff(before, next.State(day(20).Add(time.Minute))); diff != "" {
			t.Errorf("after a restart:\n%s", diff)
		}
		f.with(func(o *ratchet.Options) { o.Breaker = next })
		f.Breaker = next
		if s := runs(f.strip(t, all[6:], day(20).Add(time.Minute), time.Second)); s != "4 tempfail, 6 header" && s != "10 header" {
			t.Errorf("after a restart: %s", s)
		}
	}
}

func TestAnswersRoundTrip(t *testing.T) {
	for a := ratchet.Armed; a <= ratchet.Excused; a++ {
		text, err := a.MarshalText()
		var back ratchet.Answer
		if err != nil || back.UnmarshalText(text) != nil || back != a {
			t.Errorf("%s: %s, %v", a, back, err)
		}
	}
}

func TestAnswerNobodyKnows(t *testing.T) {
	if got := ratchet.Answer(200).String(); got != "excused" {
		t.Error(got)
	}
}

func TestBreakerStateBad(t *testing.T) {
	var s ratchet.BreakerState
	if err := json.Unmarshal([]byte(`{"answer": "on fire"}`), &s); err == nil {
		t.Error("an unknown answer was read")
	}
	b := ratchet.NewBreaker(newInstallation())
	excused := ratchet.Excused // a decision's only
	s = ratchet.BreakerState{Answer: excused, Override: &excused}
	for i := range 1000 {
		n := ratchet.BreakerName{Name: fmt.Sprint(i), Network: fmt.Sprint(i), At: day(20)}
		s.Recent, s.Silent, s.Delayed = append(s.Recent, n), append(s.Silent, n), append(s.Delayed, n)
	}
	b.Restore(s)
	if got := b.State(day(20)); got.Answer > ratchet.Suspended || got.Override != nil || len(got.Recent)+len(got.Silent)+len(got.Delayed) > 33 {
		t.Errorf("restored %s with %d, %d, %d names", got.Answer, len(got.Recent), len(got.Silent), len(got.Delayed))
	}
}

// FuzzBreakerState: whatever a state file holds, the breaker goes on, within its
// numbers, and its state can be written again.
func FuzzBreakerState(f *testing.F) {
	f.Add([]byte(`{"answer":"softened","override":"armed","since":"2026-11-20T10:00:00Z","recent":[{"name":"bank.example","network":"192.0.2.0/24","at":"2026-11-20T10:00:00Z"}]}`))
	f.Add([]byte(`{"answer":"excused","override":"excused"}`))
	f.Add([]byte(`{"broken_from":"9999-12-31T23:59:59Z","broken_to":"0001-01-01T00:00:00Z","silent":[{},{}]}`))
	f.Fuzz(func(t *testing.T, kept []byte) {
		var s ratchet.BreakerState
		if json.Unmarshal(kept, &s) != nil {
			return
		}
		b := ratchet.NewBreaker(newInstallation())
		b.Restore(s)
		got := b.State(day(20))
		if _, err := json.Marshal(got); err != nil || got.Holds() > ratchet.Suspended || len(got.Recent)+len(got.Silent)+len(got.Delayed) > 33 {
			t.Errorf("%+v: %v", got, err)
		}
	})
}
