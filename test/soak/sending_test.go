package soak

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// TestKillSending kills the daemon while it answers look-ups and learns from
// Postfix's log, again and again on one memory: no pin of a destination is lost
// that two commits came after.
func TestKillSending(t *testing.T) {
	bin := t.TempDir() // its postconf(1) allows to hold, and takes no time
	if err := os.WriteFile(filepath.Join(bin, "postconf"), []byte("#!/bin/sh\necho smtp_tls_security_level = may\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	workers := 4
	t.Run("workers", func(t *testing.T) {
		for n := range workers {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				newPostman(t, n).killed(scale(8, 1000) / workers)
			})
		}
	})
}

// postman is a Postfix that sends to ever new destinations.
type postman struct {
	t               *testing.T
	rnd             *rand.Rand
	history, socket string
	log             *os.File
	config          string
	sent            atomic.Int64  // destinations in the log
	pace            time.Duration // between two of them
	kills, safe     int
}

func newPostman(t *testing.T, n int) *postman {
	dir := t.TempDir()
	p := &postman{t: t, pace: time.Duration(scale(2, 20)) * time.Millisecond, rnd: rand.New(rand.NewPCG(uint64(n), 14)), history: filepath.Join(dir, "history.db"), socket: filepath.Join(dir, "p")}
	var err error
	if p.log, err = os.Create(filepath.Join(dir, "mail.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.log.Close() })
	p.config = fmt.Sprintf("[policy]\npin_after_days = 1\n[outbound]\naction = \"hold\"\nlisten = [%q]\nlog = %q\n", "unix:"+p.socket, p.log.Name())
	return p
}

// killed sends, and kills the daemon, so many times.
func (p *postman) killed(rounds int) {
	for range rounds {
		before := int(p.sent.Load())
		d := serve(p.t, p.history, p.config, 0)
		stop := p.begin(before)
		old, err := p.pinned(before, time.Duration(p.rnd.IntN(scale(500, 2000)))*time.Millisecond)
		if err != nil {
			p.t.Error(err)
		}
		const done = `tlsratchet_store_commits_total{result="ok"}`
		enough := d.metric(done) + commitsNeeded
		d.until("two commits more", func() bool { return d.metric(done) >= enough })
		time.Sleep(time.Duration(p.rnd.IntN(500)) * time.Millisecond) // into the next one
		d.peak.stop()
		if err := d.cmd.Process.Kill(); err != nil {
			p.t.Errorf("it ended by itself: %v", err)
		}
		_ = d.cmd.Wait()
		stop()
		p.holds(before, old)
		p.kills++
	}
	p.t.Logf("%d kills: %d destinations, %d of them pinned in time", p.kills, p.sent.Load(), p.safe)
}

// begin sends until stop, or until the daemon is gone.
func (p *postman) begin(before int) (stop func()) {
	ended, sending := make(chan struct{}), make(chan error, 1)
	go func() { sending <- p.send(ended) }()
	return sync.OnceFunc(func() {
		close(ended)
		if err := <-sending; err != nil && before == int(p.sent.Load()) {
			p.t.Errorf("nothing was sent: %v", err)
		}
	})
}

// pinned waits for a time, and then until the daemon holds the newest destination,
// and all before it. It returns the first destination that is not among them.
func (p *postman) pinned(before int, wait time.Duration) (old int, err error) {
	time.Sleep(wait)
	old = before
	c, err := net.Dial("unix", p.socket)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	answers := bufio.NewReader(c)
	for old == before { // until some were sent
		time.Sleep(10 * time.Millisecond)
		old = int(p.sent.Load())
	}
	for line, end := "END\r\n", time.Now().Add(readTimeout); line == "END\r\n"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return 0, fmt.Errorf("%s is not held within a minute", destination(old-1))
		}
		if line, err = ask(c, answers, destination(old-1)); err != nil {
			return 0, err
		}
	}
	return old, nil
}

// ask returns the first line of the answer for a destination.
func ask(c net.Conn, answers *bufio.Reader, name string) (first string, err error) {
	if _, err := fmt.Fprintf(c, "get %s\r\n", name); err != nil {
		return "", err
	}
	first, err = answers.ReadString('\n')
	for line := first; err == nil && line != "END\r\n"; {
		line, err = answers.ReadString('\n')
	}
	return first, err
}

// send asks for ever new destinations, and logs that each was reached over TLS,
// until the daemon is gone.
func (p *postman) send(ended <-chan struct{}) error {
	c, err := net.Dial("unix", p.socket)
	if err != nil {
		return err
	}
	defer c.Close()
	answers := bufio.NewReader(c)
	for {
		n := int(p.sent.Load())
		name := destination(n)
		if _, err := ask(c, answers, name); err != nil {
			return err
		}
		now := time.Now().Format(time.RFC3339Nano)
		relay := "mx." + name + "[20.0.0.1]:25"
		_, err := fmt.Fprintf(p.log, "%s mx postfix/smtp[77]: Untrusted TLS connection established to %s: TLSv1.3 with cipher X\n"+
			"%[1]s mx postfix/smtp[77]: Q%[3]d: to=<a@%[4]s>, relay=%[2]s, delay=0.1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)\n", now, relay, n, name)
		if err != nil {
			return err
		}
		p.sent.Add(1)
		select {
		case <-ended:
			return nil
		case <-time.After(p.pace):
		}
	}
}

func destination(n int) string { return fmt.Sprintf("d%d.example", n) }

// holds looks into the memory for the pins of this round that must be on the disk.
func (p *postman) holds(from, old int) {
	f, err := store.Open(p.history, store.Options{ReadTimeout: readTimeout, SnapshotEvery: -1})
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if f.Stats().Damaged > 0 {
		p.t.Errorf("%d damaged records", f.Stats().Damaged)
	}
	rule := tlsstate.DefaultPolicy()
	rule.PinAfterDays = 1
	var lost []int
	for n := from; n < old; n++ {
		h, err := f.Load(tlsstate.Identity{Kind: tlsstate.Destination, Name: destination(n)})
		if err != nil {
			p.t.Fatal(err)
		}
		if h.PinState(tlsstate.TLS12, &rule, h.Last, true) != tlsstate.PinHolds {
			lost = append(lost, n)
		}
	}
	if len(lost) > 0 {
		p.t.Errorf("kill %d: %d of the pins %d to %d are lost: %d to %d", p.kills, len(lost), from, old-1, lost[0], lost[len(lost)-1])
	}
	p.safe += old - from
}
