package soak

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tlsratchet/tlsstate/store"
)

// load learns and reports until it is killed: "pin i c" when the pin number i was
// made and c commits were done, "safe i" when all up to i were flushed.
func load(path string, first int) error {
	f, err := store.OpenOrRecover(path, store.Options{
		ReadTimeout: readTimeout, SnapshotEvery: 300 * time.Millisecond, MaxIdentities: 150_000,
	})
	if err != nil {
		return err
	}
	for i := first; ; i++ {
		if _, err := f.Update(domain("pin", i), netip.Addr{}, today, setting(pinned)); err != nil {
			return err
		}
		fmt.Println("pin", i, f.Stats().Commits)
		for n := range 20 {
			client := netip.AddrFrom4([4]byte{21, byte(i >> 8), byte(i), byte(n)})
			if _, err := f.Update(domain("one-day", i*20+n), client, today, setting(seen(today, 1))); err != nil {
				return err
			}
		}
		if i%10 == 9 {
			if err := f.Flush(context.Background()); err != nil {
				return err
			}
			fmt.Println("safe", i)
		}
		if i%100 == 94 { // then the last five pins are written by nobody's Flush
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// report is what a child wrote before it was killed: how many commits were done when
// a pin had been made, and when the last one had.
type report struct {
	made    map[int]uint64
	commits uint64
	safe    int
}

func listen(out io.Reader) report {
	got := report{made: map[int]uint64{}, safe: -1}
	for s := bufio.NewScanner(out); s.Scan(); {
		var i int
		if n, _ := fmt.Sscanf(s.Text(), "pin %d %d", &i, &got.commits); n == 2 {
			got.made[i] = got.commits
		} else if n, _ := fmt.Sscanf(s.Text(), "safe %d", &i); n == 1 {
			got.safe = i
		}
	}
	return got
}

// commitsNeeded is how many commits end before a pin is on the disk: one may have
// begun before the pin was made.
const commitsNeeded = 2

// written reports whether a pin must be on the disk.
func (r *report) written(pin int) bool {
	return pin <= r.safe || r.made[pin]+commitsNeeded <= r.commits
}

// TestKill kills a process that learns, again and again on one file: it opens
// each time, and nothing is lost that was flushed, or that two commits came after.
// How long a commit takes is not for us to say, on a machine that does other things.
func TestKill(t *testing.T) {
	workers, peers := 5, scale(2000, 100_000)
	rounds := scale(50, 1000) / workers
	var all sync.WaitGroup
	for w := range workers {
		path := filled(t, peers)
		all.Go(func() { killed(t, path, w, rounds) })
	}
	all.Wait()
}

func killed(t *testing.T, path string, worker, rounds int) {
	rnd := rand.New(rand.NewPCG(uint64(worker), 9))
	var opened []time.Duration
	next, most := 0, scale(400, 2500)
	for round := range rounds {
		cmd := child(t, "load", path, next)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Error(err)
			return
		}
		reports := make(chan report)
		go func() { reports <- listen(out) }()
		time.Sleep(time.Duration(rnd.IntN(most)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Errorf("round %d: it ended by itself: %v", round, err)
		}
		got := <-reports
		_ = cmd.Wait()
		took, err := holds(path, &got)
		if err != nil {
			t.Errorf("worker %d, round %d: %v", worker, round, err)
			return
		}
		opened = append(opened, took)
		next += len(got.made)
	}
	slices.Sort(opened)
	median, worst := opened[len(opened)/2], opened[len(opened)-1]
	t.Logf("%d kills: reopened in %s, at most %s; %d pins", rounds, median.Round(time.Millisecond), worst.Round(time.Millisecond), next)
}

// holds opens the file after a kill, and looks for what must be there.
func holds(path string, got *report) (time.Duration, error) {
	began := time.Now()
	f, err := store.Open(path, store.Options{ReadTimeout: readTimeout, SnapshotEvery: -1})
	took := time.Since(began)
	if err != nil {
		return took, err
	}
	defer func() { _ = f.Close() }()
	if f.Stats().Damaged > 0 {
		return took, fmt.Errorf("%d damaged records", f.Stats().Damaged)
	}
	for i, made := range got.made {
		if h, err := f.Load(domain("pin", i)); got.written(i) && (err != nil || h != pinned) {
			return took, fmt.Errorf("pin %d, made after %d of %d commits and flushed %v, is lost: %+v, %v", i, made, got.commits, i <= got.safe, h, err)
		}
	}
	files, err := filepath.Glob(path + ".damaged-*")
	if err != nil || len(files) > 0 {
		return took, fmt.Errorf("set aside: %q, %v", files, err)
	}
	return took, nil
}
