package resolver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	question = Question{"bank.example", TypeTXT}
	record1  = Answer{Texts: []string{"v=spf1 -all"}}
)

func always() bool { return true }

// counting answers every question alike and counts them.
type counting struct {
	asked atomic.Int64
	ttl   time.Duration
	err   error
	slow  time.Duration
}

func (c *counting) exchange(ctx context.Context, _ Question) (Answer, time.Duration, error) {
	c.asked.Add(1)
	select {
	case <-time.After(c.slow):
	case <-ctx.Done():
		return Answer{}, failureTTL, fmt.Errorf("%w: %w", ErrFailed, ctx.Err())
	}
	if c.err != nil {
		return Answer{}, c.ttl, c.err
	}
	return record1, c.ttl, nil
}

func lookup(t *testing.T, r *Resolver, want error) {
	t.Helper()
	a, err := r.Lookup(t.Context(), question, always)
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	if want == nil && (len(a.Texts) != 1 || a.Texts[0] != record1.Texts[0]) {
		t.Errorf("answer %v", a)
	}
}

// TestLifetime: answers of every kind are asked for again when their time is up,
// and not before.
func TestLifetime(t *testing.T) {
	for name, c := range map[string]*counting{
		"answer":   {ttl: 300 * time.Second},
		"negative": {ttl: 60 * time.Second, err: ErrNotFound},
		"failure":  {ttl: failureTTL, err: ErrFailed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := New(DefaultOptions(), c.exchange)
				defer r.Close()
				for want := int64(1); want <= 3; want++ {
					lookup(t, r, c.err)
					time.Sleep(c.ttl - time.Nanosecond)
					lookup(t, r, c.err)
					if got := c.asked.Load(); got != want {
						t.Fatalf("asked %d times, want %d", got, want)
					}
					time.Sleep(time.Nanosecond)
				}
			})
		})
	}
}

// TestTTL0: what must not be kept isn't, but serves all who wait.
func TestTTL0(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counting{slow: time.Second}
		r := New(DefaultOptions(), c.exchange)
		defer r.Close()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { lookup(t, r, nil) })
		}
		wg.Wait()
		if got := c.asked.Load(); got != 1 {
			t.Errorf("50 at once asked %d times", got)
		}
		lookup(t, r, nil)
		if s := r.Stats(); s.Questions != 2 || s.Entries != 0 || s.Bytes != 0 || s.Hits != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestImpatient: who doesn't wait leaves the answer to others.
func TestImpatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counting{slow: time.Second, ttl: time.Minute}
		r := New(DefaultOptions(), c.exchange)
		defer r.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := r.Lookup(ctx, question, always); !errors.Is(err, ErrFailed) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Second)
		lookup(t, r, nil)
		if s := r.Stats(); s.Questions != 1 || s.Hits != 1 || s.Failures != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// TestTimeout: a network that never answers fails in time, and is left alone
// for a while.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counting{slow: time.Hour}
		r := New(DefaultOptions(), c.exchange)
		defer r.Close()
		start := time.Now()
		lookup(t, r, ErrFailed)
		lookup(t, r, ErrFailed)
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("took %v", d) // of the bubble's clock
		}
		if s := r.Stats(); s.Questions != 1 || s.Failures != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestRefused(t *testing.T) {
	c := &counting{ttl: time.Hour}
	r := New(DefaultOptions(), c.exchange)
	defer r.Close()
	never := func() bool { return false }
	if _, err := r.Lookup(t.Context(), question, never); !errors.Is(err, ErrRefused) || c.asked.Load() != 0 {
		t.Errorf("error %v, asked %d times", err, c.asked.Load())
	}
	lookup(t, r, nil) // a refusal isn't kept
	if _, err := r.Lookup(t.Context(), question, never); err != nil {
		t.Errorf("error %v for what is kept", err)
	}
}

// TestFlights: more at once than may be fails at once, and isn't kept.
func TestFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := DefaultOptions()
		o.Flights = 3
		c := &counting{slow: time.Second, ttl: time.Hour}
		r := New(o, c.exchange)
		defer r.Close()
		for i := range o.Flights {
			go r.Lookup(t.Context(), Question{fmt.Sprint(i), TypeA}, always)
		}
		synctest.Wait()
		if n := r.Stats().Flights; n != 3 {
			t.Errorf("%d flights", n)
		}
		lookup(t, r, ErrFailed)
		time.Sleep(time.Second)
		synctest.Wait() // the three land at this very moment
		lookup(t, r, nil)
	})
}

// TestClose: it ends what is under way.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counting{slow: time.Hour}
		r := New(DefaultOptions(), c.exchange)
		start := time.Now()
		go lookup(t, r, ErrFailed)
		synctest.Wait()
		r.Close()
		r.Close()
		if d := time.Since(start); d != 0 {
			t.Errorf("took %v", d) // of the bubble's clock
		}
		lookup(t, r, ErrFailed)
		_, err := r.Lookup(t.Context(), Question{"shop.example", TypeTXT}, always)
		if s := r.Stats(); !errors.Is(err, ErrFailed) || s.Questions != 1 {
			t.Errorf("asked after the end: %+v, %v", s, err)
		}
	})
}

// TestCloseWaits: for an exchange that takes its time to end.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		r := New(DefaultOptions(), func(ctx context.Context, _ Question) (Answer, time.Duration, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended.Store(true)
			return Answer{}, 0, ctx.Err()
		})
		go lookup(t, r, ErrFailed)
		synctest.Wait()
		if r.Close(); !ended.Load() {
			t.Error("an exchange is under way after Close")
		}
		synctest.Wait()
	})
}

// TestForeignErrors: whatever goes wrong in an exchange is no answer.
func TestForeignErrors(t *testing.T) {
	r := New(DefaultOptions(), (&counting{err: errors.New("odd")}).exchange)
	defer r.Close()
	lookup(t, r, ErrFailed)
	if s := r.Stats(); s.Failures != 1 {
		t.Errorf("%+v", s)
	}
}

// TestSize: an answer that fills the cache to the last byte is kept, one more
// byte is too many.
func TestSize(t *testing.T) {
	a := Answer{Addrs: make([]netip.Addr, 2), Names: []string{"ab"}, Texts: []string{"cde", "f"}}
	const size = 2*24 + (16 + 2) + (16 + 3) + (16 + 1)
	for room, want := range map[int]int{0: 1, -1: 0} {
		o := DefaultOptions()
		o.Bytes = overhead + len(question.Name) + size + room
		r := New(o, func(context.Context, Question) (Answer, time.Duration, error) { return a, time.Hour, nil })
		if _, err := r.Lookup(t.Context(), question, always); err != nil {
			t.Error(err)
		}
		if s := r.Stats(); s.Entries != want || s.Bytes != want*o.Bytes {
			t.Errorf("with room for %d: %+v", o.Bytes, s)
		}
		r.Close()
	}
}

// TestPanic: a bug in reading what the network says fails one question.
func TestPanic(t *testing.T) {
	r := New(DefaultOptions(), func(context.Context, Question) (Answer, time.Duration, error) { panic("bug") })
	defer r.Close()
	lookup(t, r, ErrFailed)
}

// TestBounds: whatever is asked, entries and bytes stay within what was given,
// and the count of bytes is that of what is there.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := DefaultOptions()
		o.Entries, o.Bytes = 100, 100_000
		var long atomic.Int64
		r := New(o, func(context.Context, Question) (Answer, time.Duration, error) {
			return Answer{Texts: []string{strings.Repeat("x", int(long.Load()))}}, time.Hour, nil
		})
		defer r.Close()
		check := func(when string) {
			t.Helper()
			s := r.Stats()
			if s.Entries > o.Entries || s.Bytes > o.Bytes || s.Bytes < overhead*s.Entries {
				t.Fatalf("%s: %+v", when, s)
			}
		}
		for i := range 5000 {
			long.Store(rand.Int64N(3 * maxText))
			if i%2 == 0 {
				long.Store(1)
			}
			if _, err := r.Lookup(t.Context(), Question{fmt.Sprint(rand.IntN(2000)), TypeTXT}, always); err != nil {
				t.Fatal(err)
			}
			check("in use")
		}
		long.Store(int64(o.Bytes))
		if _, err := r.Lookup(t.Context(), question, always); err != nil {
			t.Error(err)
		}
		check("an answer as large as the cache")
		time.Sleep(2 * time.Hour)
		long.Store(1)
		for i := range 200 {
			if _, err := r.Lookup(t.Context(), Question{fmt.Sprint(i), TypeTXT}, always); err != nil {
				t.Fatal(err)
			}
		}
		if s := r.Stats(); s.Entries != 100 {
			t.Errorf("%d small entries in place of large ones", s.Entries)
		}
		check("after all expired")
	})
}
