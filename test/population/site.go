package population

import "math/rand/v2"

// Site is one row of the table of sites: a mail server of some size, and who
// writes to it.
type Site struct {
	Name string
	// Days is how long it is watched, Worlds how many are averaged.
	Days, Worlds int
	// Peers and Rate say how many more peers, and how much more mail of each,
	// there are than at a family's server.
	Peers, Rate float64
}

// Sites are the sites that are tried.
func Sites() []Site {
	return []Site{
		{Name: "family", Days: 120, Worlds: 40, Peers: 1, Rate: 1},
		{Name: "company", Days: 90, Worlds: 3, Peers: 10, Rate: 3.3},
		{Name: "university", Days: 32, Worlds: 1, Peers: 70, Rate: 19},
	}
}

// SiteFigures are what a rule did at a site.
type SiteFigures struct {
	Site string
	Rule string
	// Messages are legitimate; Delayed of them were wrongly delayed, Lost lost,
	// By of them those of each habit.
	Messages, Delayed, Lost int
	By                      map[string]int
	OutageDomains           int
	// Full are shares of 100 that would have led to the full action, had they
	// been stripped.
	Day30, Day60, Providers, NoDNS, Small, Moved share
}

type share struct{ hits, of int }

func (s *share) add(hit bool) { s.of++; s.hits += one(hit) }

// Percent returns the share, of 100.
func (s share) Percent() float64 { return percent(s.hits, s.of) }

// siteWorld is one site on its way.
type siteWorld struct {
	site      *Site
	rng       *rand.Rand
	residents []*resident
	rule      judge
	queue     waiting
	next4     uint32
	hosters   []uint32
	taken     map[string]bool // addresses in /24s
	tlsDays   map[string]*known
	delayed   map[string]bool
	f         *SiteFigures
}

// TrySite runs a rule at a site.
func TrySite(site *Site, rule *Rule, seed uint64) (*SiteFigures, error) {
	f := &SiteFigures{Site: site.Name, Rule: rule.Name, By: map[string]int{}}
	for n := range site.Worlds {
		w, err := newSiteWorld(site, rule, rand.New(rand.NewPCG(seed, uint64(n))), f)
		if err != nil {
			return nil, err
		}
		w.live()
		f.OutageDomains += len(w.delayed)
	}
	f.OutageDomains = (f.OutageDomains + site.Worlds - 1) / site.Worlds
	return f, nil
}

func newSiteWorld(site *Site, rule *Rule, rng *rand.Rand, f *SiteFigures) (*siteWorld, error) {
	w := &siteWorld{
		site: site, rng: rng, next4: 30 << 16, f: f, taken: map[string]bool{}, tlsDays: map[string]*known{}, delayed: map[string]bool{},
	}
	w.populate()
	if rule.Other != nil {
		w.rule = rule.Other()
		return w, nil
	}
	o, err := newOurs(rule)
	if err != nil {
		return nil, err
	}
	o.from, o.to = siteOutage, siteOutageTo
	w.rule = o
	return w, nil
}
