package outbound

import (
	"net/netip"
	"testing"
	"time"

	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// others is a memory that another host has a part in, as of the next Refresh.
type others struct {
	*store.Memory
	elsewhere map[tlsstate.Identity]tlsstate.History
	maxAge    time.Duration
}

func (o *others) Refresh(maxAge time.Duration, ids ...tlsstate.Identity) (news bool) {
	o.maxAge = maxAge
	for _, id := range ids {
		if h, ok := o.elsewhere[id]; ok {
			news = true
			o.Update(id, netip.Addr{}, h.Last, func(tlsstate.History) tlsstate.History { return h })
		}
	}
	return news
}

// TestOtherHosts: before a look-up is answered, the other hosts of the site are asked
// for what they know of the destination: a pin, or that it was taken back.
func TestOtherHosts(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	bank := tlsstate.Identity{Kind: tlsstate.Destination, Name: "bank.test"}
	pinned, _ := w.memory.Load(bank)

	memory := &others{Memory: store.NewMemory(10), elsewhere: map[tlsstate.Identity]tlsstate.History{bank: pinned}}
	o := w.o
	o.Histories = memory
	host := New(o)
	if !host.Answer([]byte("bank.test"), 1) {
		t.Error("what another host pinned is not held")
	}
	memory.elsewhere[bank] = pinned.Unpin(tlsstate.DayOf(w.now))
	if host.Answer([]byte("bank.test"), 1) {
		t.Error("what another host unpinned is held")
	}
	if memory.maxAge != time.Minute {
		t.Errorf("asked for nothing older than %s", memory.maxAge)
	}
	memory.maxAge = 0
	if host.Answer([]byte(".test"), 1); memory.maxAge != 0 {
		t.Error("asked for what is no destination")
	}
}
