package population

import (
	"fmt"
	"maps"
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
	strangers []peer.Peer
	each      int     // so many
	clear     float64 // the share of them in clear
	messages  int
}

// besiege adds 2,000 customers of the site's hosting companies, in their
// networks, at addresses that nobody else of the site has.
func besiege(w *siteWorld, each int, clear float64) *besieged {
	b := &besieged{rule: w.rule, rng: rand.New(rand.NewPCG(7, 7)), each: each, clear: clear}
	taken := map[string]bool{}
	for _, r := range w.residents {
		for i := range r.hosts {
			taken[r.hosts[i].Address.Name] = true
		}
	}
	for k := range 2000 {
		net := w.hosters[k%hosters*w.hosterNets()+b.rng.IntN(w.hosterNets())]
		c := peer.Client{Addr: inNetwork(net, 1+b.rng.IntN(250)), Name: fmt.Sprintf("vps%d-9.hoster%d.example", 100_000+k, k%hosters), Resolve: "OK", DaemonPort: listenerPort}
		if k%3 == 0 {
			c.Addr = fmt.Sprintf("2a0f:%x:1:7::%x", 16+k%hosters, 0x9000+k)
		}
		if p := identify(c); !taken[p.Address.Name] {
			b.strangers = append(b.strangers, p)
		}
	}
	w.rule = b
	return b
}

func (b *besieged) probe(x *transaction) bool { return b.rule.probe(x) }

func (b *besieged) judge(x *transaction) answer {
	for range b.each {
		s := transaction{bits: spfPass}
		s.At, s.Peer = x.At, b.strangers[b.rng.IntN(len(b.strangers))]
		if b.rng.Float64() >= b.clear {
			s.Level = tlsstate.TLS13
		}
		b.rule.judge(&s)
		b.messages++
	}
	return b.rule.judge(x)
}

// TestHostersStrangers: a million messages from a hosting company's customers, of
// which one in fifty, half or all are in clear, delay nobody else's. Where all
// of them are encrypted, the company looks like a pool: then one of its customers
// who comes in clear for the first time may be delayed.
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
		if more := f.Delayed - quiet.Delayed; more > 0 && clear > 0 || more > 20 {
			t.Errorf("%.0f %% in clear: %v, without them %v", 100*clear, f.By, quiet.By)
		}
		maps.DeleteFunc(f.By, func(name string, _ int) bool {
			return name == "hoster's customer" || name == "hoster's customer in one /64"
		})
		for name, n := range f.By {
			if n > quiet.By[name] {
				t.Errorf("%.0f %% in clear: %s: %d, without them %d", 100*clear, name, n, quiet.By[name])
			}
		}
	}
}
