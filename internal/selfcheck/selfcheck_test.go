package selfcheck_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tlsratchet/internal/selfcheck"
)

// mx is a server that can be changed while a check runs.
type mx struct {
	now   atomic.Pointer[server]
	tries atomic.Int64
}

func (m *mx) dial(ctx context.Context, network, address string) (net.Conn, error) {
	m.tries.Add(1)
	if s := m.now.Load(); s != nil {
		return s.dial(ctx, network, address)
	}
	return nil, errors.New("connection refused")
}

// run runs a check on m until the test ends, and returns it with what takes
// the notices that came since.
func run(t *testing.T, m *mx) (*selfcheck.Check, func() []string) {
	t.Helper()
	sent := make(chan string, 100)
	c := selfcheck.New(selfcheck.Options{
		Address: "mx.test:25", Every: time.Minute, Dial: m.dial,
		Notify: func(n selfcheck.Notice) { sent <- n.String() },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
	return c, func() (all []string) {
		for len(sent) > 0 {
			all = append(all, <-sent)
		}
		return all
	}
}

// TestLife is a server's: what happens each minute, what is reported to the breaker,
// and what is noticed.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := offering(certificate(t, -1, 60))
		gone := good.with("EHLO", "250 mx.test\r\n")
		refuses := good.with("STARTTLS", "454 4.7.0 TLS not available\r\n")
		soon := offering(certificate(t, -80, 3))
		over := offering(certificate(t, -80, -1))
		busy := server{greeting: "421 busy\r\n"}
		m := &mx{}
		c, notices := run(t, m)
		for i, step := range []struct {
			server       *server
			known, works bool
			notice       string
		}{
			{nil, false, false, ""}, // at boot Postfix comes after us
			{&busy, false, false, ""},
			{&good, true, true, "STARTTLS of our own mx.test:25 works (TLS 1.3, certificate until"},
			{&gone, true, false, "does not offer STARTTLS, so that every peer falls back to plaintext"},
			{&gone, true, false, ""},
			{nil, false, false, ""}, // a restart of Postfix is no news
			{&gone, true, false, ""},
			{&refuses, true, false, "offers STARTTLS, but it fails (STARTTLS is refused: it answers 454"},
			{&good, true, true, "STARTTLS of our own mx.test:25 works (TLS 1.3, certificate until"},
			{&busy, false, false, ""},
			{&soon, true, true, "ends on"},
			{&over, true, true, "not now: renew it"},
			{&good, true, true, "works ("},
		} {
			m.now.Store(step.server)
			time.Sleep(time.Minute)
			synctest.Wait()
			works, at := c.Works()
			if works != step.works || at.IsZero() == step.known {
				t.Errorf("step %d: works %v at %v", i, works, at)
			}
			if step.known && !at.Equal(c.Last().At) {
				t.Errorf("step %d: two times, %v and %v", i, at, c.Last().At)
			}
			switch sent := notices(); {
			case step.notice == "" && len(sent) > 0:
				t.Errorf("step %d: notices %q", i, sent)
			case step.notice != "" && (len(sent) != 1 || !strings.Contains(sent[0], step.notice)):
				t.Errorf("step %d: notices %q, want one with %q", i, sent, step.notice)
			}
		}
	})
}

// TestNothingListens: without an MX there is no result, ever.
func TestNothingListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mx{}
		c, notices := run(t, m)
		time.Sleep(time.Hour)
		synctest.Wait()
		if sent := notices(); !c.Last().At.IsZero() || len(sent) > 0 {
			t.Errorf("%+v, %q", c.Last(), sent)
		}
		if n := m.tries.Load(); n != 61 {
			t.Errorf("%d tries in an hour", n)
		}
	})
}

// TestPoke: a poke is a try at once; a thousand are one, and one more after
// a second: while peers are stripped, the breaker waits for it.
func TestPoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := offering(certificate(t, -1, 60))
		m := &mx{}
		m.now.Store(&good)
		c, _ := run(t, m)
		time.Sleep(10 * time.Millisecond) // right after the first
		began := m.tries.Load()
		c.Poke()
		synctest.Wait()
		if n := m.tries.Load() - began; n != 1 || c.Last().At != time.Now() {
			t.Errorf("%d tries", n)
		}
		for range 1000 {
			c.Poke()
		}
		for _, d := range []time.Duration{time.Second, 30 * time.Second} {
			time.Sleep(d)
			synctest.Wait()
			if n := m.tries.Load() - began; n != 2 {
				t.Errorf("%d tries after a thousand pokes and %s, want 2", n, d)
			}
		}
	})
}

// TestEndsInTheMiddle: a check that is stopped while a server keeps it
// waiting ends at once.
func TestEndsInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := selfcheck.New(selfcheck.Options{Address: "mx.test:25", Notify: func(selfcheck.Notice) {}, Dial: silent("220 mx\r\n")})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan time.Time)
		go func() { c.Run(ctx); done <- time.Now() }()
		time.Sleep(time.Second)
		began := time.Now()
		cancel()
		if end := <-done; end != began {
			t.Errorf("took %s", end.Sub(began))
		}
	})
}

// TestOff: a nil check is one that never tried anything.
func TestOff(t *testing.T) {
	var c *selfcheck.Check
	c.Poke()
	if works, at := c.Works(); works || !at.IsZero() || !c.Last().At.IsZero() {
		t.Error(works, at)
	}
}

func TestNames(t *testing.T) {
	for p, want := range map[selfcheck.Problem]string{
		selfcheck.Unknown: "unknown", selfcheck.OK: "ok", selfcheck.CertificateExpires: "certificate_expires",
		selfcheck.CertificateInvalid: "certificate_invalid", selfcheck.HandshakeFails: "handshake_fails",
		selfcheck.NotOffered: "not_offered", 99: "not_offered",
	} {
		if p.String() != want {
			t.Errorf("%d: %q", p, p)
		}
	}
	n := selfcheck.Notice{Address: "mx:25", Result: selfcheck.Result{Err: errors.New("refused")}}
	if s := n.String(); s != "our own mx:25 does not answer: refused" {
		t.Error(s)
	}
}

// TestEnd: a try that the end of the check cuts off is no result: the breaker keeps its
// answer over a restart.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mx{}
		good := offering(certificate(t, -1, 60))
		m.now.Store(&good)
		ctx, cancel := context.WithCancel(t.Context())
		c := selfcheck.New(selfcheck.Options{Address: "mx.test:25", Every: time.Minute, Notify: func(selfcheck.Notice) {}, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if m.tries.Load() > 0 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return m.dial(ctx, network, address)
		}})
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		synctest.Wait()
		c.Poke()
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		cancel()
		<-done
		if works, _ := c.Works(); !works {
			t.Error("its own end made it unknown whether STARTTLS works")
		}
	})
}
