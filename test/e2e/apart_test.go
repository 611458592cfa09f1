package e2e

import (
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlsratchet/test/chaos/servers"
	"tlsratchet/tlsstate"
)

// life is what a host knows of a peer; kept makes a history file of it.
type life func(tlsstate.History) tlsstate.History

func kept(t *testing.T, live life, ids ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "history.db")
	s := openMemory(t, file)
	for _, id := range ids {
		identity, err := tlsstate.ParseIdentity(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Update(identity, netip.Addr{}, tlsstate.DayOf(time.Now()), live); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

// saw lives through a session at a level so many days ago.
func saw(l tlsstate.Level, ago int) life {
	rule := tlsstate.DefaultPolicy()
	o := tlsstate.Observation{Day: tlsstate.DayOf(time.Now()) - tlsstate.Day(ago), Security: tlsstate.Security{Level: l}}
	return func(h tlsstate.History) tlsstate.History {
		_, after := tlsstate.Judge(h, o, &rule)
		return after
	}
}

// pinnedUntil lives through a week of TLS that ended so many days ago.
func pinnedUntil(ago int) life {
	return func(h tlsstate.History) tlsstate.History {
		for d := range 7 {
			h = saw(tlsstate.TLS12, ago+6-d)(h)
		}
		return h
	}
}

// unpinned lives through an operator's act so many days ago.
func unpinned(ago int) life {
	return func(h tlsstate.History) tlsstate.History {
		return h.Unpin(tlsstate.DayOf(time.Now()) - tlsstate.Day(ago))
	}
}

func lives(all ...life) life {
	return func(h tlsstate.History) tlsstate.History {
		for _, live := range all {
			h = live(h)
		}
		return h
	}
}

// acted waits until the server knows of an operator's act.
func acted(t *testing.T, server *servers.Server, ids ...string) {
	t.Helper()
	for _, id := range ids {
		eventually(t, "the act on the server: "+id, func() bool {
			record, err := server.Do("GET", "tlsratchet:"+id)
			h, bad := tlsstate.Decode([]byte(record))
			return err == nil && bad == nil && h.Epoch > 0
		})
	}
}

// agree waits until operators see the same of a peer at all hosts, and
// that it is not held.
func agree(t *testing.T, name string, hosts ...mx) {
	t.Helper()
	eventually(t, "the same shown of "+name+" at all hosts", func() bool {
		want := hosts[0].operator("peer", "show", "--history", hosts[0].daemon.history, name)
		for _, m := range hosts {
			shown := m.operator("peer", "show", "--history", m.daemon.history, name)
			if strings.Contains(shown, ": holds") {
				t.Fatalf("it is held:\n%s", shown)
			}
			if shown != want {
				return false
			}
		}
		return true
	})
}

// mx3 was cut off for a day, on which the peer was unpinned at mx1; it knows the
// pin of the day before. It stays unpinned.
func TestBackFromADayApart(t *testing.T) {
	const bank = "192.0.2.82"
	ids := []string{"address:" + bank, "domain:bank.example"}
	server, net3 := newServer(t, servers.Redis)
	net3.Partition()
	old := pinnedUntil(2)
	mx3 := newMX(t, at(net3.URL()), kept(t, lives(old, saw(tlsstate.TLS13, 1)), ids...)) // it came there yesterday, over TLS
	mx1 := newMX(t, at(server.URL()), kept(t, lives(old, unpinned(1), saw(tlsstate.Plaintext, 1)), ids...))
	mx2 := newMX(t, at(server.URL()), kept(t, old, ids...))
	mx3.daemon.wait("the shared server does not answer")
	acted(t, server, ids...)
	for _, m := range []mx{mx1, mx2} {
		if got := m.delivered(m.bank(bank, plain()), mail("unpinned since yesterday")); got != "" {
			t.Errorf("held to what was unpinned: %s", got)
		}
	}

	// On its own, mx3 meets the old pin today, and holds the peer to it.
	if got := mx3.delivered(mx3.bank(bank, mx3.tls12()), mail("today, cut off")); got != "" {
		t.Errorf("a session that met the pin: %s", got)
	}
	mx3.has(mx3.delivered(mx3.bank(bank, plain()), mail("in clear, cut off")), "kind=stripped; identity=address:"+bank)

	net3.Heal()
	mx3.daemon.wait("the shared server answers again")
	for _, m := range []mx{mx3, mx1, mx2} {
		if got := m.delivered(m.bank(bank, plain()), mail("after the partition")); got != "" {
			t.Errorf("the pin is back: %s", got)
		}
	}
	for _, name := range []string{bank, "bank.example"} {
		agree(t, name, mx1, mx2, mx3)
	}
}

// mx3 was cut off for a day, and it is there that the peer was unpinned. The
// others, whose pin was met since, follow.
func TestUnpinnedADayApart(t *testing.T) {
	const bank = "192.0.2.83"
	address, domain := "address:"+bank, "domain:bank.example"
	server, net3 := newServer(t, servers.Valkey)
	net3.Partition()
	known := kept(t, lives(pinnedUntil(2), unpinned(1), saw(tlsstate.Plaintext, 1)), address)
	mx3 := newMX(t, at(net3.URL()), known)
	mx1 := newMX(t, at(server.URL()), kept(t, pinnedUntil(1), address, domain))
	mx2 := newMX(t, at(server.URL()), kept(t, pinnedUntil(2), address, domain))
	mx3.daemon.wait("the shared server does not answer")
	mx1.delivered(mx1.bank(bank, mx1.tls12()), mail("the pin is met today"))
	mx2.has(mx2.delivered(mx2.bank(bank, plain()), mail("held")), "kind=stripped; identity="+address)
	mx3.delivered(mx3.bank(bank, mx3.tls12()), mail("over TLS at mx3"))
	if got := mx3.delivered(mx3.bank(bank, plain()), mail("unpinned at mx3")); got != "" {
		t.Errorf("mx3 holds what was unpinned there: %s", got)
	}
	// What is asked now is done there, and reaches the others later.
	out, _ := exec.Command(binary, "peer", "unpin", "--history", mx3.daemon.history, "--why", "they moved", domain).CombinedOutput()
	mx3.has(string(out), "reaches the other hosts when it is back")

	net3.Heal()
	mx3.daemon.wait("the shared server answers again")
	acted(t, server, address, domain)
	for _, m := range []mx{mx1, mx2, mx3} {
		if got := m.delivered(m.bank(bank, plain()), mail("unpinned for all")); got != "" {
			t.Errorf("held to what mx3 unpinned: %s", got)
		}
	}
	for _, name := range []string{bank, domain} {
		agree(t, name, mx1, mx2, mx3)
	}
}
