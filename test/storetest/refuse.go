package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// What a store must not keep: the future, what can't be, and more newcomers of one
// network than its share.

func future(t *testing.T, s Store) {
	kept := update(t, s, address(1), seeing(Today+1, tlsstate.TLS12)) // tomorrow is allowed
	for _, day := range []tlsstate.Day{Today + 2, Today + 365} {
		h := Sees(tlsstate.History{}, day, tlsstate.TLS12)
		for _, id := range []tlsstate.Identity{address(1), address(2)} {
			if _, err := s.Update(id, netip.Addr{}, Today, merging(h)); !errors.Is(err, store.ErrFuture) {
				t.Errorf("Merge of %s: %v, want ErrFuture", day, err)
			}
		}
	}
	loads(t, s, address(1), kept)
	loads(t, s, address(2), tlsstate.History{})
	if n := s.Stats().Future; n != 4 || s.Newest() != Today+1 || s.Len() != 1 {
		t.Errorf("%d refused, the newest day %s, %d histories", n, s.Newest(), s.Len())
	}
	// The clock is set back: what is there already must not bar what is true.
	if _, err := s.Update(address(1), netip.Addr{}, Today-10, seeing(Today-10, tlsstate.TLS12)); err != nil {
		t.Errorf("after the clock was set back: %v", err)
	}
}

func impossible(t *testing.T, s Store) {
	bad := tlsstate.History{First: Today, Last: Today - 1}
	if _, err := s.Update(address(1), netip.Addr{}, Today, merging(bad)); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Merge of an impossible history: %v", err)
	}
	long := tlsstate.Identity{Kind: tlsstate.Domain, Name: string(make([]byte, tlsstate.MaxName+1))}
	for _, id := range []tlsstate.Identity{{}, {Kind: tlsstate.Domain}, {Name: "example.com"}, long} {
		if _, err := s.Update(id, netip.Addr{}, Today, merging(pinned())); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Merge under %d bytes of kind %d: %v", len(id.Name), id.Kind, err)
		}
		if _, err := s.Load(id); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Load of %d bytes of kind %d: %v", len(id.Name), id.Kind, err)
		}
	}
	if s.Len() != 0 {
		t.Errorf("%d histories", s.Len())
	}
	longest := tlsstate.Identity{Kind: tlsstate.Domain, Name: long.Name[1:]}
	merge(t, s, longest, pinned())
	loads(t, s, longest, pinned())
}

func quotas(t *testing.T, s Store) {
	learn := func(i int, from string, day tlsstate.Day) {
		t.Helper()
		id := domain(i)
		if i >= 700 {
			id = tlsstate.Identity{Kind: tlsstate.Sender, Name: fmt.Sprintf("s%d.example/d.example", i)}
		}
		got, err := s.Update(id, netip.MustParseAddr(from), day, seeing(day, tlsstate.TLS12))
		if err != nil {
			t.Fatalf("Update: %v", err)
		}
		loads(t, s, id, got) // what is known now, kept or not
	}
	steps := []struct {
		who       string
		from      string
		day       tlsstate.Day
		first, n  int
		kept      int
		newcomers bool
	}{
		{"a network", "192.0.2.1", Today, 0, 70, 64, true},
		{"the senders of that network", "192.0.2.1", Today, 700, 70, 64, true},
		{"its known ones, again", "192.0.2.1", Today + 1, 0, 60, 0, false},
		{"its neighbour", "192.0.3.1", Today, 100, 10, 10, true},
		{"IPv4 in IPv6", "::ffff:192.0.2.9", Today, 200, 5, 0, true},
		{"a /64", "2001:db8:1:1::1", Today, 300, 60, 48, true},
		{"that /64, another address", "2001:db8:1:1::2", Today, 360, 5, 0, true},
		{"its senders", "2001:db8:1:1::1", Today, 770, 70, 64, true},
		{"another of its /48", "2001:db8:1:2::1", Today, 400, 20, 16, true},
		{"a third of its /48", "2001:db8:1:3::1", Today, 420, 5, 0, true},
		{"another /48", "2001:db8:2::1", Today, 500, 5, 5, true},
		{"the next day", "192.0.2.1", Today + 1, 200, 5, 5, true},
	}
	for _, st := range steps {
		before, refused := s.Len(), s.Stats().Refused
		for i := range st.n {
			learn(st.first+i, st.from, st.day)
		}
		if got := s.Len() - before; got != st.kept {
			t.Errorf("%s: %d of %d kept, want %d", st.who, got, st.n, st.kept)
		}
		if got := int(s.Stats().Refused - refused); st.newcomers && got != st.n-st.kept {
			t.Errorf("%s: %d refused, want %d", st.who, got, st.n-st.kept)
		}
	}
	loads(t, s, domain(0), Sees(Sees(tlsstate.History{}, Today, tlsstate.TLS12), Today+1, tlsstate.TLS12))
	loads(t, s, domain(65), tlsstate.History{})
	for i := range 70 { // an import has no quota
		merge(t, s, domain(600+i), pinned())
	}
	listener := tlsstate.Identity{Kind: tlsstate.Listener, Name: "192.0.2.25:25"}
	if h, err := s.Update(listener, netip.MustParseAddr("2001:db8:1:1::1"), Today, seeing(Today, tlsstate.TLS12)); err != nil || h.Last != Today {
		t.Errorf("a listener: %+v, %v", h, err)
	}
	loads(t, s, listener, Sees(tlsstate.History{}, Today, tlsstate.TLS12))
}

func domain(i int) tlsstate.Identity {
	return tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprintf("d%d.example", i)}
}
