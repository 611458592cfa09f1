package e2e

import (
	"testing"

	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// TestOutboundFallback: what would wait goes by way of smtp_fallback_relay, and
// shows nothing of the recipient's domain.
func TestOutboundFallback(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}, "relay.test": {"mx.relay.test"}, "new.test": {"mx.new.test"}},
		"smtp_fallback_relay = relay.test")
	history := taught(t, tlsstate.TLS12, 30, "destination:bank.test")
	before := recall(t, history, "destination:bank.test")
	d := serve(t, s.in.MilterSocket(), history, s.config(hold))
	s.sinks["mx.bank.test"].Set(posttest.Behaviour{NoOffer: true})
	s.send("ann@bank.test")
	if _, host := s.arrives("ann@bank.test"); host != "mx.relay.test" {
		t.Errorf("went to %s", host)
	}
	s.line(`to=<ann@bank\.test>.* status=sent`)
	s.send("bob@new.test") // when this was learned, that before was read
	s.arrives("bob@new.test")
	s.line(`to=<bob@new\.test>.* status=sent`)
	if h := d.remembered("destination:new.test"); h.Last == 0 {
		t.Error("nothing was learned of new.test")
	}
	if h := d.remembered("destination:bank.test"); h != before {
		t.Errorf("learned of bank.test: %+v", h)
	}
}
