// Package selfcheck tries our own STARTTLS as a peer would (RFC 3207): it
// connects to our MX, asks for TLS, looks at the certificate and leaves.
//
// If our own certificate breaks, every peer comes in clear, and that looks like
// many downgrades at once. This reports it before the peers do, and shows the
// circuit breaker whether many downgrades at once are our own fault.
package selfcheck

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"tlsratchet/internal/loop"
)

// Options are what a [Check] is made of.
type Options struct {
	// Address is our own MX, host:port.
	Address string
	// Every is how long to wait between two tries.
	Every time.Duration
	// Dial connects; [net.Dialer.DialContext] unless set.
	Dial Dial
	// Notify gets the first result, and each later one that begins, changes or ends a
	// problem. Run calls it, one call at a time. Required.
	Notify func(Notice)
}

// gap is the least time between two tries that [Check.Poke] asked for, timeout
// bounds one try.
const gap, timeout = time.Second, 10 * time.Second

// Check tries our own STARTTLS again and again. Its methods may be called at the
// same time. A nil Check is one that is switched off: it never tried anything.
type Check struct {
	o    Options
	last atomic.Pointer[Result]
	poke chan struct{}
	// reported is the problem that was reported last. Only Run touches it.
	reported Problem
}

// New returns a check that [Check.Run] runs.
func New(o Options) *Check {
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	return &Check{o: o, poke: make(chan struct{}, 1)}
}

// Run tries at once, and then again and again until ctx ends. As long as nobody
// ever answered there is no result: where no MX listens, there is none to
// check, and at boot it may come after us.
func (c *Check) Run(ctx context.Context) {
	requested := rate.NewLimiter(rate.Every(gap), 1)
	for c != nil && ctx.Err() == nil {
		c.try(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(c.o.Every):
		case <-c.poke:
			_ = requested.Wait(ctx) // it fails as ctx ends
			select {
			case <-c.poke: // meanwhile: the same try is for it
			default:
			}
		}
	}
}

func (c *Check) try(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r := Probe(within, c.o.Dial, c.o.Address)
	if !r.Reachable && (c.last.Load() == nil || ctx.Err() != nil) {
		return
	}
	c.last.Store(&r)
	c.report(r)
}

// report passes a problem on if it is news. A missing answer is not news: Postfix is
// reloaded or busy, and it shows nothing about TLS.
func (c *Check) report(r Result) {
	p := r.Problem(r.At)
	if p == Unknown || p == c.reported {
		return
	}
	c.reported = p
	c.o.Notify(Notice{Problem: p, Address: c.o.Address, Result: r})
}

// Poke asks for a try at once, or as soon as a second has passed since the last
// one that it asked for. It never blocks.
func (c *Check) Poke() {
	if c != nil {
		loop.Wake(c.poke)
	}
}

// Last returns the newest result, and the zero one as long as nobody answered.
// It takes no lock.
func (c *Check) Last() Result {
	if c != nil {
		if r := c.last.Load(); r != nil {
			return *r
		}
	}
	return Result{}
}

// Works reports to the circuit breaker whether our own STARTTLS works, and when that
// was tried: the zero time if it isn't known. A server that doesn't answer is
// not known: strangers can keep it busy, and must not be able to say that our
// TLS is broken. A certificate that has expired is an alert, and works:
// opportunistic peers don't look at it.
func (c *Check) Works() (works bool, at time.Time) {
	r := c.Last()
	switch r.Problem(r.At) {
	case Unknown:
		return false, time.Time{}
	case OK, CertificateExpires, CertificateInvalid:
		return true, r.At
	}
	return false, r.At
}
