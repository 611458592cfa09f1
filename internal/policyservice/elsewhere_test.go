package policyservice

import (
	"fmt"
	"testing"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
)

// TestConnectionsKeep: a connection is the milter's from each of its messages on, however
// many others come between two, and for as long as 4,096 of them.
func TestConnectionsKeep(t *testing.T) {
	c := NewConnections()
	stated := func(addr string) *inbound.Client {
		var client inbound.Client
		if err := client.State(ratchet.Facts{Client: peer.Client{Addr: addr}}); err != nil {
			t.Fatal(err)
		}
		return &client
	}
	one, next := stated("192.0.2.1"), 0
	others := func(n int) {
		for range n {
			next++
			c.See(stated(fmt.Sprintf("2001:db8::%x:%x", next>>16, next&0xffff)), "25")
		}
	}
	for _, between := range []int{0, 1, maxSeen/2 - 1, maxSeen / 2, maxSeen/2 - 1, 1, maxSeen, 0} {
		c.See(one, "4711")
		if !c.Has(one, "4711") {
			t.Errorf("it is not seen with %d connections before", between)
		}
		before := c.noted.Load()
		c.See(one, "4711")
		if c.noted.Load() != before {
			t.Error("noted twice with none between")
		}
		others(between)
		if got := c.Has(one, "4711"); got != (between <= maxSeen/2) {
			t.Errorf("seen %t after %d others", got, between)
		}
	}
	if c.See(one, "4712"); !c.Has(one, "4712") {
		t.Error("another port of the same client is not seen")
	}
	for _, port := range []string{"59999", "64000", "64001", "65535"} {
		if c.Has(one, port) {
			t.Errorf("port %s is seen before it came", port)
		}
		if c.See(one, port); !c.Has(one, port) {
			t.Errorf("port %s is not seen", port)
		}
	}
	if c.See(one, ""); c.Has(one, "") {
		t.Error("a client whose port nobody states is seen")
	}
	if err := one.State(ratchet.Facts{Client: peer.Client{Addr: "192.0.2.2"}}); err != nil {
		t.Fatal(err)
	}
	if c.See(one, "4711"); !c.Has(one, "4711") {
		t.Error("another client of the same connection is not seen")
	}
}
