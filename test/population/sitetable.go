package population

import (
	"fmt"
	"strings"
)

// siteLimits are what our defaults are to reach at a site.
type siteLimits struct {
	day30, day60, providers, noDNS, small float64
	delayed, outage                       int
}

func (s *Site) limits() siteLimits {
	if s.Peers == 1 {
		return siteLimits{75, 90, 90, 75, 95, 500, 1}
	}
	return siteLimits{92, 95, 95, 0, 96, 400, 10}
}

// perMillion returns how many of a million messages were wrongly delayed.
func (f *SiteFigures) perMillion() int { return f.Delayed * 1_000_000 / max(f.Messages, 1) }

// siteRow is one figure of a site.
type siteRow struct {
	name string
	want func(siteLimits) string
	got  func(*SiteFigures) string
	met  func(*SiteFigures, siteLimits) bool
}

func shareRow(name string, of func(*SiteFigures) share, least func(siteLimits) float64) siteRow {
	return siteRow{
		name: name,
		want: func(l siteLimits) string { return fmt.Sprintf("%.0f %%", least(l)) },
		got: func(f *SiteFigures) string {
			if s := of(f); s.of > 0 {
				return fmt.Sprintf("%.1f %%", s.Percent())
			}
			return "–"
		},
		met: func(f *SiteFigures, l siteLimits) bool { return of(f).of == 0 || of(f).Percent() >= least(l) },
	}
}

func countRow(name string, of func(*SiteFigures) int, most func(siteLimits) int) siteRow {
	return siteRow{
		name: name,
		want: func(l siteLimits) string { return fmt.Sprintf("at most %d", most(l)) },
		got:  func(f *SiteFigures) string { return comma(of(f)) },
		met:  func(f *SiteFigures, l siteLimits) bool { return of(f) <= most(l) },
	}
}

func siteRows() []siteRow {
	return []siteRow{
		shareRow("encrypted mail that would be refused if stripped, day 30", func(f *SiteFigures) share { return f.Day30 }, func(l siteLimits) float64 { return l.day30 }),
		shareRow("the same, day 60", func(f *SiteFigures) share { return f.Day60 }, func(l siteLimits) float64 { return l.day60 }),
		shareRow("providers' mail, from day 30 on", func(f *SiteFigures) share { return f.Providers }, func(l siteLimits) float64 { return l.providers }),
		shareRow("the same with our DNS broken", func(f *SiteFigures) share { return f.NoDNS }, func(l siteLimits) float64 { return l.noDNS }),
		shareRow("small peers, five TLS days, at an address seen before", func(f *SiteFigures) share { return f.Small }, func(l siteLimits) float64 { return l.small }),
		shareRow("the same, moved to a new address under its name", func(f *SiteFigures) share { return f.Moved }, func(siteLimits) float64 { return 0 }),
		countRow("wrong delays, of a million", (*SiteFigures).perMillion, func(l siteLimits) int { return l.delayed }),
		countRow("lost", func(f *SiteFigures) int { return f.Lost }, func(siteLimits) int { return 0 }),
		countRow("domains delayed by our own outage", func(f *SiteFigures) int { return f.OutageDomains }, func(l siteLimits) int { return l.outage }),
	}
}

// Missed returns the figures of our defaults at a site that are not reached.
func (s *Site) Missed(f *SiteFigures) (all []string) {
	for _, r := range siteRows() {
		if !r.met(f, s.limits()) {
			all = append(all, fmt.Sprintf("%s: %s, want %s", r.name, r.got(f), r.want(s.limits())))
		}
	}
	return all
}

// SiteRules are the rules that are tried at the sites: ours, and the one that it
// replaced.
func SiteRules() []Rule {
	return []Rule{{Name: "our defaults", Policy: Defaults()}, {Name: "the rule before", Other: newBefore}}
}

// TrySites runs the rules at all sites: the figures by site, then by rule.
// progress, if not nil, is called with each one.
func TrySites(seed uint64, progress func(*SiteFigures)) ([][]*SiteFigures, error) {
	var all [][]*SiteFigures
	for _, s := range Sites() {
		var of []*SiteFigures
		for _, r := range SiteRules() {
			f, err := TrySite(&s, &r, seed)
			if err != nil {
				return nil, err
			}
			if of = append(of, f); progress != nil {
				progress(f)
			}
		}
		all = append(all, of)
	}
	return all, nil
}

// SiteTable returns what the rules did at the sites, in Markdown: of each figure
// that of our defaults, what it was before, and what is wanted.
func SiteTable(all [][]*SiteFigures) string {
	var b strings.Builder
	sites := Sites()
	head, line := []string{"figure"}, []string{"---"}
	for _, s := range sites {
		head, line = append(head, s.Name), append(line, "---:")
	}
	row(&b, head...)
	row(&b, line...)
	for _, r := range siteRows() {
		cells := []string{r.name}
		for i, s := range sites {
			ours, old := all[i][0], all[i][1]
			mark := ""
			if !r.met(ours, s.limits()) {
				mark = " **missed**"
			}
			cells = append(cells, fmt.Sprintf("**%s**%s; %s; %s", r.got(ours), mark, r.got(old), r.want(s.limits())))
		}
		row(&b, cells...)
	}
	for i, s := range sites {
		fmt.Fprintf(&b, "\nWrong delays at the site %s, by our defaults: %s.\n", s.Name, all[i][0].by())
	}
	return b.String()
}

// by returns who was wrongly delayed.
func (f *SiteFigures) by() string {
	var parts []string
	for _, h := range append([]habit{{name: "provider"}}, habits...) {
		if n := f.By[h.name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", h.name, n))
		}
	}
	return fmt.Sprintf("%s of %s messages", strings.Join(parts, ", "), comma(f.Messages))
}
