package daemon

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestProcessors: one processor while there is little to do, all while there is much,
// and no change in between.
func TestProcessors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seconds := []float64{2, 0.25, 0.125, 0.375, 0.4375, 0.5, 0.375, 0.25, 0.1875, 0, 3}
		var total time.Duration
		used := func() time.Duration {
			now := total
			if len(seconds) > 0 {
				total += time.Duration(seconds[0] * float64(time.Second))
				seconds = seconds[1:]
			}
			return now
		}
		var got strings.Builder
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p := processors{all: true, set: func(all bool) { fmt.Fprintf(&got, "%v %t ", time.Since(began), all) }}
			p.tune(ctx, used)
		}()
		time.Sleep(time.Minute)
		cancel()
		<-done
		if want := "3s false 6s true 9s false 11s true 12s false 1m0s true "; got.String() != want {
			t.Errorf("%s, want %s", &got, want)
		}
	})
}

// TestProcessorsWhilePaging: there are all from before somebody may wait for a page, and
// until a look after the last one does.
func TestProcessorsWhilePaging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		began := time.Now()
		note := func(what any) { got = append(got, fmt.Sprint(time.Since(began), " ", what)) }
		p := processors{all: true, set: func(all bool) { note(all) }}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.tune(ctx, func() time.Duration { return 0 }) }()
		time.Sleep(2500 * time.Millisecond)
		go p.paging(func() { time.Sleep(5 * time.Second); note("paged") })
		time.Sleep(time.Second)
		p.paging(func() {})
		func() {
			defer func() { _ = recover() }()
			p.paging(func() { panic("a bug") })
		}()
		time.Sleep(9 * time.Second)
		cancel()
		<-done
		p.paging(func() { note("paged") }) // the history is written after the end
		want := []string{"1s false", "2.5s true", "7.5s paged", "8s false", "12.5s true", "12.5s paged"}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// TestTuneProcessors: a daemon that does nothing has one.
func TestTuneProcessors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []bool
		d := Daemon{processors: &processors{all: true, set: func(all bool) { got = append(got, all) }}}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		d.TuneProcessors(ctx)
		if want := []bool{false, true}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// TestProcessorsOfTheSystem: all are as many as there are when they are needed, unless
// an operator says how many.
func TestProcessorsOfTheSystem(t *testing.T) {
	defer runtime.SetDefaultGOMAXPROCS()
	runtime.SetDefaultGOMAXPROCS()
	system := runtime.GOMAXPROCS(0)
	for environment, want := range map[string]int{"": system, "another number": system + 1} {
		t.Setenv("GOMAXPROCS", environment)
		runtime.GOMAXPROCS(system + 1) // at the start
		p := newProcessors()
		atStart := runtime.GOMAXPROCS(0)
		p.change(false)
		little := runtime.GOMAXPROCS(0)
		p.change(true)
		if much := runtime.GOMAXPROCS(0); atStart != system+1 || little != 1 || much != want {
			t.Errorf("GOMAXPROCS=%s: %d, then %d, then %d of %d", environment, atStart, little, much, system)
		}
	}
}

// TestProcessorTime: it counts what the process does, and what the kernel does for it.
func TestProcessorTime(t *testing.T) {
	for before := processorTime(); processorTime() == before; { // ends by the test's own limit
	}
	var u syscall.Rusage
	for u.Stime.Nano() == 0 {
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
	}
	if got, least := processorTime(), time.Duration(u.Utime.Nano()+u.Stime.Nano()); got < least {
		t.Errorf("%v, and the system says %v", got, least)
	}
}
