package outbound

import (
	"fmt"
	"testing"
	"time"
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
