package storetest

import (
	"maps"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tlsratchet/tlsstate"
)

// Sees returns h after a session at the level on the day.
func Sees(h tlsstate.History, day tlsstate.Day, l tlsstate.Level) tlsstate.History {
	rule := tlsstate.DefaultPolicy()
	_, after := tlsstate.Judge(h, tlsstate.Observation{Day: day, Security: tlsstate.Security{Level: l}}, &rule)
	return after
}

func seeing(day tlsstate.Day, l tlsstate.Level) func(tlsstate.History) tlsstate.History {
	return func(h tlsstate.History) tlsstate.History { return Sees(h, day, l) }
}

func merging(h tlsstate.History) func(tlsstate.History) tlsstate.History {
	return func(tlsstate.History) tlsstate.History { return h }
}

// pinned is the history of a peer that used TLS on ten days.
func pinned() (h tlsstate.History) {
	for day := Today - 10; day < Today; day++ {
		h = Sees(h, day, tlsstate.TLS12)
	}
	return h
}

// Full returns a history for each kind of identity in which all fields that the
// kind may have are set.
func Full() map[tlsstate.Identity]tlsstate.History {
	named, marked, network := pinned(), pinned(), pinned()
	named.Name = tlsstate.LastName(Today-1, "mx1.bank.example", "bank.example")
	named.Cert = tlsstate.Certificate{Since: Today - 3, Mark: 1 << 63}
	named.CertDays, named.CertPin = named.NoCertDays, tlsstate.Pin{Formed: Today - 2, Met: Today - 1, Void: Today - 5}
	marked.Marks = tlsstate.Marks{Networks: 1, Addresses: 1 << 63, Bare: 6, Named: 7, HostNames: 3, Senders: 5}
	network.Name = tlsstate.OnlyName("bank.example")
	full := map[tlsstate.Identity]tlsstate.History{
		{Kind: tlsstate.Address, Name: "2001:db8::1"}:          named,
		{Kind: tlsstate.Network, Name: "2001:db8::/48"}:        network,
		{Kind: tlsstate.Domain, Name: "bank.example"}:          marked,
		{Kind: tlsstate.Sender, Name: "gone.example"}:          pinned().Forget(Today),
		{Kind: tlsstate.Listener, Name: "192.0.2.25:25"}:       pinned(),
		{Kind: tlsstate.Destination, Name: "unpinned.example"}: pinned().Unpin(Today),
		{Kind: tlsstate.MX, Name: "mx.bank.example"}:           Sees(pinned(), Today, tlsstate.Plaintext),
	}
	return full
}

func update(t testing.TB, s Store, id tlsstate.Identity, grow func(tlsstate.History) tlsstate.History) tlsstate.History {
	t.Helper()
	h, err := s.Update(id, netip.Addr{}, Today, grow)
	if err != nil {
		t.Fatalf("Update(%s): %v", id, err)
	}
	return h
}

func merge(t testing.TB, s Store, id tlsstate.Identity, h tlsstate.History) {
	t.Helper()
	if _, err := s.Update(id, netip.Addr{}, Today, merging(h)); err != nil {
		t.Fatalf("Merge(%s): %v", id, err)
	}
}

func loads(t testing.TB, s Store, id tlsstate.Identity, want tlsstate.History) {
	t.Helper()
	got, err := s.Load(id)
	if err != nil {
		t.Fatalf("Load(%s): %v", id, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("Load(%s), want - got +:\n%s", id, diff)
	}
}

func flush(t testing.TB, s Store) {
	t.Helper()
	if err := s.Flush(t.Context()); err != nil {
		t.Fatalf("Flush: %v", err)
	}
}

func collect(t testing.TB, s Store, start tlsstate.Identity) (ids []tlsstate.Identity) {
	t.Helper()
	seq, failed := s.All(start)
	for id, h := range seq {
		loads(t, s, id, h)
		ids = append(ids, id)
	}
	if err := failed(); err != nil {
		t.Fatalf("All: %v", err)
	}
	return ids
}

// model holds any sequence of acts against a map and [tlsstate.Merge].
func model(t *testing.T, open func(testing.TB) Store) {
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t)
		defer func() { _ = s.Close() }()
		want := map[tlsstate.Identity]tlsstate.History{}
		for range rapid.IntRange(1, 60).Draw(rt, "acts") {
			act(rt, t, s, want)
		}
		got := map[tlsstate.Identity]tlsstate.History{}
		seq, failed := s.All(tlsstate.Identity{})
		maps.Insert(got, seq)
		if err := failed(); err != nil || !maps.Equal(got, want) {
			rt.Fatalf("the store differs from the map: %v\n%s", err, cmp.Diff(want, got))
		}
		if s.Len() != len(want) {
			rt.Fatalf("%d histories, want %d", s.Len(), len(want))
		}
	})
}

// act does one random thing to the store and to the map.
func act(rt *rapid.T, t *testing.T, s Store, want map[tlsstate.Identity]tlsstate.History) {
	id := address(rapid.IntRange(0, 5).Draw(rt, "peer"))
	day := Today - tlsstate.Day(rapid.IntRange(0, 90).Draw(rt, "days ago"))
	level := tlsstate.Level(rapid.IntRange(0, 3).Draw(rt, "level"))
	grow := seeing(day, level)
	switch rapid.IntRange(0, 5).Draw(rt, "act") {
	case 0:
		grow = func(h tlsstate.History) tlsstate.History { return h.Unpin(day) }
	case 1:
		grow = func(h tlsstate.History) tlsstate.History { return h.Forget(day) }
	case 2:
		other := Sees(pinned(), day, level)
		merge(t, s, id, other)
		want[id] = tlsstate.Merge(want[id], other)
		return
	case 3:
		flush(t, s)
		return
	}
	update(t, s, id, grow)
	want[id] = tlsstate.Merge(want[id], grow(want[id]))
}

// RunDurable holds a store to what only a durable one promises. open opens the
// store that lives at the path; Run closes it.
func RunDurable(t *testing.T, open func(t testing.TB, path string) Store) {
	ends := map[string]func(testing.TB, Store){
		"Close": func(t testing.TB, s Store) {},
		"Flush": flush,
	}
	for name, end := range ends {
		t.Run("all is there again after "+name, func(t *testing.T) {
			path := t.TempDir() + "/histories"
			s := open(t, path)
			for i := range 600 {
				update(t, s, address(i), seeing(Today-tlsstate.Day(i%64), tlsstate.Level(i%4)))
			}
			merge(t, s, address(600), pinned().Forget(Today))
			for id, h := range Full() {
				merge(t, s, id, h)
			}
			end(t, s)
			want := maps.Collect(first(s.All(tlsstate.Identity{})))
			newest := s.Newest()
			if err := s.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			again := open(t, path)
			defer func() { _ = again.Close() }()
			got := maps.Collect(first(again.All(tlsstate.Identity{})))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after reopening, want - got +:\n%s", diff)
			}
			if again.Len() != len(want) || again.Newest() != newest || len(want) != 601+len(Full()) {
				t.Errorf("%d histories, the newest day %s; want %d, %s", again.Len(), again.Newest(), len(want), newest)
			}
		})
	}
}

func first[A, B any](a A, _ B) A { return a }
