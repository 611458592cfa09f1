package inbound_test

import (
	"errors"
	"testing"
	"time"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// TestClient: the session is that of the facts of each message, and what was decided on
// others is gone with them.
func TestClient(t *testing.T) {
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		t.Fatal(err)
	}
	memory := &counted{Memory: store.NewMemory(100)}
	judge := ratchet.New(ratchet.Options{Histories: memory, Changes: memory.Changes, Rules: rules})
	const one, other = "192.0.2.1", "192.0.2.2"
	var c inbound.Client
	for i, tt := range []struct {
		address, version string
		judged           bool // not by the decision before
	}{
		{one, "TLSv1.3", true}, {other, "TLSv1.3", true}, // they teach
		{one, "TLSv1.3", true}, {one, "TLSv1.3", false}, {other, "TLSv1.3", true}, {other, "TLSv1.3", false},
		{"unknown", "TLSv1.3", false}, {"unknown", "TLSv1.3", false},
		{other, "TLSv1.3", true}, {other, "", true}, {other, "TLSv1.3", true},
	} {
		facts := ratchet.Facts{Client: peer.Client{Addr: tt.address}, Version: tt.version}
		err := c.State(facts)
		if c.Facts != facts || errors.Is(err, peer.ErrNoAddress) != (tt.address == "unknown") || (err == nil) == c.Session.Peer.Address.IsZero() {
			t.Errorf("%d: %v, %+v", i, err, c)
		}
		if err != nil {
			continue
		}
		if c.Session.Peer.IP.String() != tt.address || c.Session.Protocol != tt.version {
			t.Errorf("%d: %+v", i, c.Session)
		}
		s := c.Session
		s.At, memory.loads = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC), 0
		d := judge.Decide(&s)
		if judged := memory.loads > 0; judged != tt.judged {
			t.Errorf("%d: judged %t", i, judged)
		}
		judge.Learn(&s, &d)
	}
}

// counted is a memory that counts what is loaded.
type counted struct {
	*store.Memory
	loads int
}

func (c *counted) Load(id tlsstate.Identity) (tlsstate.History, error) {
	c.loads++
	return c.Memory.Load(id)
}
