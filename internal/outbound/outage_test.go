package outbound

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tlsratchet/tlsstate"
)

// TestManyReached: at a site that reaches more networks than are remembered, those
// that are remembered still count as reached a while ago or now, as they were.
func TestManyReached(t *testing.T) {
	var o outage
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	o.fail("other.test", "198.51.100.0/24", now)
	reach := func() {
		for n := range maxFailing + 1 {
			o.met(fmt.Sprintf("d%d.test", n), fmt.Sprint("network ", n), now)
		}
	}
	reach()
	now = now.Add(time.Hour)
	reach()
	if n := count(o.reached, now.Add(-outageWindow)); n != maxFailing {
		t.Errorf("%d networks were reached within the window, want %d", n, maxFailing)
	}
	for n := range outageNames + 2 {
		if o.fail(fmt.Sprintf("fails%d.test", n), fmt.Sprint("failing ", n), now) {
			t.Fatal("an outage, though many more are reached than fail")
		}
	}
}

// TestEndOfOutage: it is over when five are left that fail, in whatever networks the others
// are; who is reached in clear, or was reached long ago, shows nothing.
func TestEndOfOutage(t *testing.T) {
	w := newWorld(t, nil)
	w.failing(11)
	for n := range 20 {
		w.deliver(fmt.Sprintf("a%s.test", strings.Repeat("x", n)), inClear)
	}
	for n := range 6 {
		if !w.Stats().Outage {
			t.Errorf("over, though %d fail", 11-n)
		}
		w.outage.met(fmt.Sprintf("f%d.test", n), "198.51.0.0/16", w.now)
	}
	if w.Stats().Outage {
		t.Error("five of one network are an outage")
	}
	w.now = w.now.Add(outageMemory + time.Minute)
	w.outage.fail("f1.test", "", w.now)
	if n := len(w.outage.reached) + len(w.outage.s.Failing); n != 1 {
		t.Errorf("%d are remembered", n)
	}
}

// TestSuspendedKeepNetwork: Postfix names no host for a message to a destination
// that it does not try for a while. The customers of one provider are still in one
// network then.
func TestSuspendedKeepNetwork(t *testing.T) {
	var o outage
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	for n := range outageNames + 5 {
		customer := fmt.Sprintf("customer%d.test", n)
		o.fail(customer, "198.51.0.0/16", now)
		if o.fail(customer, "", now.Add(time.Second)) {
			t.Fatalf("an outage of our own network, after %d customers of one provider failed", n+1)
		}
	}
}

// TestProviderFails: the customers of one provider fail together, at hosts of its
// own: no outage of our network, by what smtp(8) logs.
func TestProviderFails(t *testing.T) {
	w := newWorld(t, nil)
	for n := range outageNames + 5 {
		w.pin(fmt.Sprintf("customer%d.test", n))
	}
	for n := range outageNames + 5 {
		d := refused
		d.At, d.PID, d.QueueID = w.now, 77, fmt.Sprint("C", n)
		d.Domain, d.Host, d.Addr = fmt.Sprintf("customer%d.test", n), "mx.provider.test", fmt.Sprintf("198.51.%d.1", 17*n)
		w.Answer([]byte(d.Domain), 77)
		w.Delivered(&d)
		d.PID, d.Host, d.Addr, d.Suspended = 78, "", "", true // by retry(8)
		w.Delivered(&d)
	}
	if s := w.Stats(); s.Outage || s.Held != 2*(outageNames+5) {
		t.Errorf("%+v", s)
	}
}

// TestNetworks: those of one provider are one.
func TestNetworks(t *testing.T) {
	for addr, want := range map[string]string{"198.51.100.7": "198.51.0.0/16", "2001:db8:1::7": "2001:db8::/32", "": ""} {
		if got := networkOf(addr); got != want {
			t.Errorf("%q: %s, want %s", addr, got, want)
		}
	}
}

// TestRefusedByOthers: what another table than ours kept here, over a connection that
// was there or without a try, says nothing of a destination that we don't hold.
func TestRefusedByOthers(t *testing.T) {
	w := newWorld(t, nil)
	w.Answer([]byte("other.test"), 77)
	d := refused
	d.At, d.PID, d.QueueID, d.Domain, d.Suspended = w.now, 78, "Q1", "other.test", true
	w.Delivered(&d)
	if len(w.events) > 0 || w.Stats().Held > 0 {
		t.Errorf("learned: %+v", w.events)
	}
	// What is pinned by now was not held when it was asked for.
	other := newWorld(t, nil)
	other.pin("other.test")
	id := tlsstate.Identity{Kind: tlsstate.Destination, Name: "other.test"}
	pinned, _ := other.memory.Load(id)
	w.now = other.now
	w.Answer([]byte("other.test"), 77)
	w.memory.Update(id, noAddr, pinned.Last, func(tlsstate.History) tlsstate.History { return pinned })
	d.At, d.PID, d.Host, d.Suspended = w.now, 77, "mx.other.test", false
	w.Delivered(&d)
	if len(w.events) > 0 || w.Stats().Held > 0 {
		t.Errorf("held before it was pinned: %+v", w.events)
	}
}
