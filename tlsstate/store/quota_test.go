package store

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"tlsratchet/tlsstate"
)

func TestNetworks(t *testing.T) {
	tests := []struct{ addr, network, operator string }{
		{"192.0.2.10", "192.0.2.0/24", "192.0.0.0/24"},
		{"::ffff:192.0.2.10", "192.0.2.0/24", "192.0.0.0/24"},
		{"198.51.100.7", "198.51.100.0/24", "198.51.0.0/24"},
		{"255.255.255.255", "255.255.255.0/24", "255.255.0.0/24"},
		{"2001:db8:1:2::3", "2001:db8:1::/48", "2001:db8::/48"},
		{"ffff:ffff:ffff:ffff::", "ffff:ffff:ffff::/48", "ffff:ffff::/48"},
		{"::1", "::/48", "::/48"},
	}
	for _, tt := range tests {
		n := networkOf(netip.MustParseAddr(tt.addr))
		if n.String() != tt.network || n.operator().String() != tt.operator {
			t.Errorf("%s: %s of %s, want %s of %s", tt.addr, n, n.operator(), tt.network, tt.operator)
		}
	}
	if n := networkOf(netip.Addr{}); n != 0 || n.String() != "none" {
		t.Errorf("no address: %s", n)
	}
}

// The count of a network is never too small, and the quota never more than 64;
// where few share the places it is exact.
func TestQuotaCountsByNetworkAndDay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var q quota
		day := tlsstate.Day(1000)
		type share struct {
			network
			kind tlsstate.Kind
		}
		admitted := map[share]int{}
		for range rapid.IntRange(1, 400).Draw(rt, "newcomers") {
			if rapid.IntRange(0, 150).Draw(rt, "night") == 0 {
				day += tlsstate.Day(rapid.IntRange(1, 40).Draw(rt, "days"))
				clear(admitted)
			}
			n := share{network(4<<familyBits) | network(rapid.IntRange(0, 1).Draw(rt, "network")), tlsstate.Kind(rapid.IntRange(1, 2).Draw(rt, "kind"))}
			today := day - tlsstate.Day(rapid.IntRange(0, 1).Draw(rt, "straddles"))
			if q.day == 0 {
				today = day
			}
			want := admitted[n] < networkNewcomers
			if q.day != day {
				today = day // the first of the day turns it
			}
			if got := q.admits(&source{from: n.network, today: today}, n.kind); got != want {
				rt.Fatalf("newcomer %d of %s, %s: %v", admitted[n]+1, n.network, n.kind, got)
			}
			if want {
				admitted[n]++
			}
		}
	})
}

// An operator of a /32 has no more than one of a /16.
func TestQuotaOfAnOperator(t *testing.T) {
	var q quota
	count := func(family, networks int) (n int) {
		for i := range networks {
			for range 2 * networkNewcomers {
				if q.admits(&source{from: network(family)<<familyBits | network(i), today: 1000}, tlsstate.Domain) {
					n++
				}
			}
		}
		return n
	}
	if n := count(4, 512); n != 2*operatorNewcomers {
		t.Errorf("two of /16: %d newcomers, want %d", n, 2*operatorNewcomers)
	}
	if n := count(6, 300); n != operatorNewcomers {
		t.Errorf("a /32: %d newcomers, want %d", n, operatorNewcomers)
	}
	if !q.admits(&source{from: network(6)<<familyBits | network(299), today: 1001}, tlsstate.Domain) {
		t.Error("a new day brings nothing to a /32 that had its share")
	}
}

// What was counted of a day is forgotten with it, in both rows.
func TestCountersAreCleared(t *testing.T) {
	c := newCounters[uint8](4)
	c.add(1<<32 | 1)
	if shared, own := c.count(2<<32|1), c.count(1<<32|1); shared != 0 || own != 1 {
		t.Errorf("%d, of which one place is another's, and %d", shared, own)
	}
	if c.add(2<<32 | 1); c.count(2<<32|1) != 1 || c.count(1<<32|1) != 1 {
		t.Error("two that share a place are counted as more than each is")
	}
	for hash := range uint64(4) {
		for range 9 {
			c.add(hash<<32 | hash)
		}
	}
	c.clear()
	for i := range uint64(16) {
		hash := i/4<<32 | i%4
		if a, b := c.at(hash); *a+*b != 0 {
			t.Errorf("%x: %d, %d", hash, *a, *b)
		}
	}
}

// A clock that went far ahead and came back leaves no day behind that never
// ends.
func TestQuotaAfterAClockWentAhead(t *testing.T) {
	var q quota
	for _, day := range []tlsstate.Day{1000, 1029, 1000} {
		for i := range networkNewcomers + 1 {
			if got := q.admits(&source{from: 1, today: day}, tlsstate.Address); got != (i < networkNewcomers) {
				t.Fatalf("day %d, newcomer %d: %v", day, i+1, got)
			}
		}
		if q.admits(&source{from: 1, today: day - 1}, tlsstate.Address) {
			t.Error("one that is late, of the day before, begins a new one")
		}
	}
}

func TestRefusalsAreLoggedOnceADay(t *testing.T) {
	var log lines
	f := mustOpen(t, newPath(t), Options{Logger: log.logger()})
	client := netip.MustParseAddr("203.0.113.7")
	for day := range tlsstate.Day(2) {
		for i := range 200 {
			if _, err := f.Update(peer(i+1000*int(day)), client, today-1+day, merging(seen(1).Unpin(today-1))); err != nil {
				t.Fatal(err)
			}
		}
		lines := log.with("more newcomers")
		if len(lines) != int(day)+1 {
			t.Errorf("day %d: logged %q", day, lines)
		}
	}
	if n := f.Stats().Refused; n != 2*(200-networkNewcomers) || f.Len() != 2*networkNewcomers {
		t.Errorf("%d refused, %d kept", n, f.Len())
	}
}
