package ratchet_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/peer/spf"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// shared is a memory that others have a part in: what they know comes with the
// next Refresh.
type shared struct {
	*memory
	theirs map[tlsstate.Identity]tlsstate.History
	asked  []string
}

func (s *shared) Refresh(maxAge time.Duration, ids ...tlsstate.Identity) (news bool) {
	s.asked = append(s.asked, fmt.Sprint(maxAge, ids))
	for _, id := range ids {
		met := tlsstate.Merge(s.m[id], s.theirs[id])
		news = news || met != s.m[id]
		s.m[id] = met
	}
	return news
}

// newShared returns a host whose listener offers STARTTLS, and what others know.
func newShared(t *testing.T) (fixture, *shared) {
	f := newFixture(t)
	s := &shared{memory: f.memory, theirs: map[tlsstate.Identity]tlsstate.History{}}
	f.with(func(o *ratchet.Options) { o.Histories = s })
	stranger := bank
	stranger.Addr, stranger.Name = "203.0.113.99", "mail.stranger.example"
	f.deliver(session(t, stranger, day(1), tlsstate.TLS12))
	s.asked = nil
	return f, s
}

// elsewhere is what another host knows of the bank.
func elsewhere(t *testing.T) *memory {
	f := newFixture(t)
	f.pin(t, bank)
	return f.memory
}

func TestOtherHostsAreAsked(t *testing.T) {
	const all, withNetwork = "[address:192.0.2.10 domain:bank.example]", "[address:192.0.2.10 domain:bank.example network:192.0.2.0/24]"
	tests := []struct {
		name  string
		known int // days on which this host saw the bank over TLS 1.3
		level tlsstate.Level
		theirs,
		want string
		asked []string
	}{
		{"known, over TLS: nobody is asked", 5, tlsstate.TLS12, "pin", "address steady none observe", nil},
		{"new, over TLS: nobody is asked", 0, tlsstate.TLS12, "pin", "address new none observe", nil},
		{"new, in clear, and pinned there", 0, tlsstate.Plaintext, "pin", "address downgrade stripped tempfail", []string{"1m0s " + withNetwork}},
		{"new, weakened, and pinned there", 0, tlsstate.Weak, "pin", "address downgrade weakened tempfail", []string{"1m0s " + withNetwork}},
		{"new, in clear, and unknown there", 0, tlsstate.Plaintext, "", "address new none observe", []string{"1m0s " + withNetwork}},
		{"seen over TLS, in clear, and pinned there", 2, tlsstate.Plaintext, "pin", "address downgrade stripped tempfail", []string{"0s " + all}},
		{"pinned, in clear, and nothing new there", 5, tlsstate.Plaintext, "", "address downgrade stripped tempfail", []string{"0s " + all}},
		{"pinned, in clear, and unpinned there", 5, tlsstate.Plaintext, "unpin", "address learning none observe", []string{"0s " + all}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, s := newShared(t)
			for n := 1; n <= tt.known; n++ {
				f.deliver(session(t, bank, day(n), tlsstate.TLS13))
			}
			for id, h := range elsewhere(t).m {
				switch {
				case id.Kind == tlsstate.Listener || tt.theirs == "":
				case tt.theirs == "pin":
					s.theirs[id] = h
				default:
					s.theirs[id] = h.Unpin(tlsstate.DayOf(day(6)))
				}
			}
			s.asked = nil
			if got := words(f.Decide(session(t, bank, day(6), tt.level))); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if diff := cmp.Diff(tt.asked, s.asked); diff != "" {
				t.Errorf("asked, want - got +:\n%s", diff)
			}
		})
	}
}

// What this host alone would have taken for the only domain of a network does not
// speak where others know of a second one.
func TestOthersKnowTheNetwork(t *testing.T) {
	f, s := newShared(t)
	tempfail := tlsstate.Tempfail
	f.SetRules(rules(t, tlsstate.Row{Domain: "bank.example", Subdomains: true, Action: &tempfail}))
	for n := range 9 {
		c := bank
		c.Addr, c.Name = fmt.Sprintf("192.0.2.%d", 10+n), fmt.Sprintf("mx%d.bank.example", n)
		f.pin(t, c)
	}
	unknown := roaming("77")
	if got := words(f.Decide(session(t, unknown, day(6), tlsstate.Plaintext))); got != "domain downgrade stripped tempfail" {
		t.Fatal(got)
	}
	id := session(t, unknown, day(6), tlsstate.Plaintext).Peer.NetworkID()
	theirs := s.m[id]
	theirs.Name = tlsstate.OnlyName("other.example")
	s.theirs[id] = theirs
	if d := f.Decide(session(t, unknown, day(6), tlsstate.Plaintext)); words(d) != "address new none observe" || d.Row() != "" {
		t.Errorf("%s by the row of %q", words(d), d.Row())
	}
}

// A session on a port that offers no STARTTLS judges nobody, whoever knows him.
func TestNobodyIsAskedWhereNoTLSIsOffered(t *testing.T) {
	f, s := newShared(t)
	c := bank
	c.DaemonPort = "2525"
	f.Decide(session(t, c, day(6), tlsstate.Plaintext))
	if len(s.asked) != 0 {
		t.Errorf("asked: %s", s.asked)
	}
}

// Before a missing certificate is reported, the others are asked whether the pin on
// it was dropped.
func TestUnpinnedCertificate(t *testing.T) {
	f, s := newShared(t)
	for n := 1; n <= 5; n++ {
		with := session(t, bank, day(n), tlsstate.TLS13)
		with.Certificate = true
		f.deliver(with)
	}
	without := func() *ratchet.Session { return session(t, bank, day(6), tlsstate.TLS13) }
	if got := words(f.Decide(without())); got != "address downgrade unauthenticated observe" {
		t.Fatal(got)
	}
	for id, h := range f.memory.m {
		s.theirs[id] = h.Unpin(tlsstate.DayOf(day(6)))
	}
	if got := words(f.Decide(without())); got != "address learning none observe" {
		t.Error(got)
	}
}

func TestSendersAreAskedFor(t *testing.T) {
	f, s := newShared(t)
	f.with(func(o *ratchet.Options) { o.Senders = &notary{result: spf.Proven} })
	f.Decide(fromBank(session(t, roaming("77"), day(6), tlsstate.Plaintext)))
	if want := []string{"1m0s [address:192.0.2.77 sender:bank.example/192.0.2.0/24 network:192.0.2.0/24]"}; !cmp.Equal(want, s.asked) {
		t.Errorf("asked: %s", s.asked)
	}
}
