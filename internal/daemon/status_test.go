package daemon

import (
	"testing"
	"time"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// TestPageIsTheOperators: the page shows the memory that commands work on, which asks
// the other hosts, and judges by it.
func TestPageIsTheOperators(t *testing.T) {
	cfg := testConfig(t)
	d, _, stop := running(t, cfg)
	defer stop()
	w, others := newTestWatch(t), store.NewMemory(1000)
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		t.Fatal(err)
	}
	id := stripped(t, w, others, rules, "192.0.2.10")
	local := d.operators()
	local.Memory = others
	p := d.page(cfg, local)
	if h, err := p.Load(id); err != nil || h == (tlsstate.History{}) {
		t.Errorf("the page has %+v, %v", h, err)
	}
	s, err := ratchet.SessionOf(id, time.Now(), tlsstate.Security{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := p.Explain(s)
	if err != nil || e.Decision.Outcome != tlsstate.Downgraded {
		t.Errorf("the page has %s, %v", e.Decision.Outcome, err)
	}
	a, err := local.Admin().Explain(t.Context(), admin.Question{Name: id.String()})
	if err != nil || a.Outcome != e.Decision.Outcome.String() || a.Action != e.Decision.Action.String() {
		t.Errorf("explain has %s %s, %v", a.Outcome, a.Action, err)
	}
}
