package inbound_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// TestPinnedIsWhatWasSaved: a message is reported as one with which a pin formed only if
// that was saved.
func TestPinnedIsWhatWasSaved(t *testing.T) {
	policy := tlsstate.DefaultPolicy()
	policy.PinAfterDays = 1
	rules, err := tlsstate.NewRules(policy, nil)
	if err != nil {
		t.Fatal(err)
	}
	memory := &failing{Memory: store.NewMemory(1000)}
	judge := ratchet.New(ratchet.Options{Histories: memory, Rules: rules, Log: slog.New(slog.DiscardHandler)})
	var log strings.Builder
	var outcomes []tlsstate.Outcome
	now := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	door := inbound.New(inbound.Deps{
		Judge: judge, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Events: func(e ratchet.Event) {
			outcomes = append(outcomes, e.Decision.Outcome)
			words.Log(slog.New(slog.NewTextHandler(&log, nil)), &e)
		},
	}, inbound.Options{})
	ask := func(facts ratchet.Facts, recipient bool) (pinned int) {
		t.Helper()
		log.Reset()
		outcomes = nil
		var c inbound.Client
		if err := c.State(facts); err != nil {
			t.Fatal(err)
		}
		var m inbound.Message
		m.Judge(door, &c.Session, "a@bank.example")
		if recipient {
			m.Recipient("b@ours.example", "")
		}
		m.Emit(ratchet.Event{Done: true})
		return strings.Count(log.String(), "msg=pinned")
	}
	send := func(addr string, recipient bool) (pinned int) {
		t.Helper()
		return ask(ratchet.Facts{Client: peer.Client{Addr: addr}, Version: "TLSv1.3"}, recipient)
	}
	if n := send("192.0.2.250", false); n != 0 {
		t.Errorf("without a recipient, of which nothing is learned:\n%s", &log)
	}
	for i := range 70 {
		if n, kept := send(fmt.Sprint("192.0.2.", i), true), i < 64; n == 1 != kept || outcomes[0] != tlsstate.New {
			t.Fatalf("newcomer %d: %v\n%s", i+1, outcomes, &log)
		}
	}
	if n := send("192.0.2.1", true); n != 0 || outcomes[0] != tlsstate.Steady {
		t.Errorf("pinned before: %v\n%s", outcomes, &log)
	}
	memory.fails = true
	if n := send("192.0.3.1", true); n != 0 || outcomes[0] != tlsstate.New {
		t.Errorf("while the store is away: %v\n%s", outcomes, &log)
	}
	memory.fails = false
	policy.PinAfterDays = 2
	if rules, err = tlsstate.NewRules(policy, nil); err != nil {
		t.Fatal(err)
	}
	judge.SetRules(rules)
	send("192.0.4.1", true)
	ask(ratchet.Facts{Client: peer.Client{Addr: "192.0.5.1", Name: "mx.bank.example", Resolve: "OK"}, Version: "TLSv1.1"}, true)
	now = now.AddDate(0, 0, 1)
	memory.fails = true
	if n := send("192.0.4.1", true); n != 0 || outcomes[0] != tlsstate.Learning {
		t.Errorf("while the store is away, a known one: %v\n%s", outcomes, &log)
	}
	memory.fails = false
	if n := send("192.0.4.1", true); n != 1 || outcomes[0] != tlsstate.Raised {
		t.Errorf("and when it is back: %v\n%s", outcomes, &log)
	}
	if n := ask(ratchet.Facts{Client: peer.Client{Addr: "192.0.5.2"}, Version: "TLSv1.1"}, true); n != 0 || outcomes[0] != tlsstate.Learning {
		t.Errorf("of a domain that the memory supplied, and that learns nothing: %v\n%s", outcomes, &log)
	}
}

// failing is a memory that can't be written at times.
type failing struct {
	*store.Memory
	fails bool
}

func (f *failing) Update(id tlsstate.Identity, client netip.Addr, today tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	if f.fails {
		h, _ := f.Load(id)
		return grow(h), errors.New("the disk is full")
	}
	return f.Memory.Update(id, client, today, grow)
}
