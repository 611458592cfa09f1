package population

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

// besieged is a rule that judges sessions of strangers before each message of a
// site.
type besieged struct {
	rule      judge
	rng       *rand.Rand
	strangers []stranger
	each      int     // so many
	clear     float64 // the share of them in clear
	messages  int
}

// stranger is one customer, who sends in the name of a domain of its own.
type stranger struct {
	peer   peer.Peer
	sender string
}

// besiege adds 2,000 customers of the site's hosting companies, in their
// networks, at addresses that nobody else of the site has.
func besiege(w *siteWorld, each int, clear float64) *besieged {
	b := &besieged{rule: w.rule, rng: rand.New(rand.NewPCG(7, 7)), each: each, clear: clear}
	for k := range 2000 {
		net := w.hosters[k%hosters*w.hosterNets()+b.rng.IntN(w.hosterNets())]
		c := peer.Client{Addr: w.free(net, b.rng.IntN(250)), Name: fmt.Sprintf("vps%d-9.hoster%d.example", 100_000+k, k%hosters), Resolve: "OK", DaemonPort: listenerPort}
		if k%3 == 0 {
			c.Addr = fmt.Sprintf("2a0f:%x:1:7::%x", 16+k%hosters, 0x9000+k)
		}
		p := identify(c)
		b.strangers = append(b.strangers, stranger{p, customer(p.Domain.Name, k)})
	}
	w.rule = b
	return b
}

func (b *besieged) probe(x *transaction) bool { return b.rule.probe(x) }

func (b *besieged) judge(x *transaction) answer {
	for range b.each {
		s := transaction{bits: spfPass}
		who := b.strangers[b.rng.IntN(len(b.strangers))]
		s.At, s.Peer, s.From = x.At, who.peer, who.sender
		if b.rng.Float64() >= b.clear {
			s.Level = tlsstate.TLS13
		}
		b.rule.judge(&s)
		b.messages++
	}
	return b.rule.judge(x)
}

// TestHostersStrangers: a million messages from a hosting company's customers, of
// which none, one in fifty, half or all are in clear, delay nobody else's. Where
// all are encrypted the company looks like a pool, but for its senders.
func TestHostersStrangers(t *testing.T) {
	run := func(each int, clear float64) (*SiteFigures, int) {
		site, rule := Sites()[0], SiteRules()[0]
		f := &SiteFigures{By: map[string]int{}}
		w, err := newSiteWorld(&site, &rule, rand.New(rand.NewPCG(1, 0)), f)
		if err != nil {
			t.Fatal(err)
		}
		b := besiege(w, each, clear)
		w.live()
		return f, b.messages
	}
	quiet, _ := run(0, 0)
	for clear, each := range map[float64]int{0: 10, 0.02: 72, 0.5: 2, 1: 2} {
		f, messages := run(each, clear)
		t.Logf("%d messages, %.0f %% in clear: %d delayed, %d without them", messages, 100*clear, f.Delayed, quiet.Delayed)
		if messages < 13_900*each || f.Lost > 0 {
			t.Errorf("%d messages, %d lost", messages, f.Lost)
		}
		for name, n := range f.By {
			if n > quiet.By[name] {
				t.Errorf("%.0f %% in clear: %s: %d, without them %d", 100*clear, name, n, quiet.By[name])
			}
		}
	}
}
