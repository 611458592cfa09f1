package population

import (
	"strings"
	"testing"
)

// TestFamily holds our defaults to their aims at a family's server, in fewer
// worlds than in the documentation.
func TestFamily(t *testing.T) {
	site := Sites()[0]
	site.Worlds = 3
	rules := SiteRules()
	ours, err := TrySite(&site, &rules[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, missed := range site.Missed(ours) {
		if !strings.HasPrefix(missed, "wrong delays") { // a dozen messages in three worlds
			t.Error(missed)
		}
	}
	if n := ours.perMillion(); n > 900 {
		t.Errorf("%d of a million delayed", n)
	}
	old, err := TrySite(&site, &rules[1], 1)
	if err != nil {
		t.Fatal(err)
	}
	if old.Day60.Percent() > ours.Day60.Percent()-15 || len(site.Missed(old)) < 4 {
		t.Errorf("the rule before: %+v", old)
	}
}

func TestSiteTable(t *testing.T) {
	f := &SiteFigures{Messages: 1_000_000, Delayed: 600, By: map[string]int{"company": 600}}
	f.Day30.add(true)
	var all [][]*SiteFigures
	for range Sites() {
		all = append(all, []*SiteFigures{f, f})
	}
	table := SiteTable(all)
	for _, want := range []string{"| figure | family | company | university |", "**600** **missed**; 600; at most 500", "**100.0 %**; 100.0 %; 75 %", "company 600 of 1,000,000 messages"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
}
