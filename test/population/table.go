package population

import (
	"errors"
	"fmt"
	"strings"
)

// The marks between which the tables stand in a page: those of the mail that we
// receive, and those of the mail that we send.
const (
	Begin     = "<!-- tables: written by make population -->"
	SendBegin = "<!-- tables of the sending side: written by make population -->"
	End       = "<!-- end of the tables -->"
)

// Insert puts tables into a page, between a mark that begins them and the next
// End.
func Insert(page, begin, tables string) (string, error) {
	before, rest, found := strings.Cut(page, begin+"\n")
	_, after, ended := strings.Cut(rest, End+"\n")
	if !found || !ended {
		return "", errors.New("the page has no marks to put the tables between: " + begin + " and " + End)
	}
	return before + begin + "\n\n" + tables + "\n" + End + "\n" + after, nil
}

// Tables returns what rules did to a world, in Markdown: the aims, the rules,
// the attacks and the peers.
func Tables(o Options, all []*Figures) string {
	f := all[0]
	var b strings.Builder
	fmt.Fprintf(&b, "Seed %d, %d days, %s peers, %s messages, of which %s are legitimate and under no attack; %s attacks.\n\n",
		o.Seed, f.Days, comma(f.peers()), comma(f.All), comma(f.Messages), comma(f.Attacks))
	aims(&b, f.Aims())
	ruleTable(&b, all)
	attackTable(&b, all)
	peerTable(&b, f)
	return b.String()
}

func (f *Figures) peers() (n int) {
	for _, k := range f.Peers {
		n += k.Peers
	}
	return n
}

func aims(b *strings.Builder, all []Aim) {
	row(b, "aim of our defaults", "wanted", "found", "reached")
	row(b, "---", "---:", "---:", "---")
	for _, a := range all {
		reached := "yes"
		if !a.Met {
			reached = "**no**"
		}
		row(b, a.Name, a.Want, a.Got, reached)
	}
	b.WriteString("\n")
}

func ruleTable(b *strings.Builder, all []*Figures) {
	row(b, "rule", "caught at the first message", "later", "never", "at a pinned address", "stripped and let in", "delayed", "lost",
		"wrong alerts", "wrong incidents", "wrongly pinned", "days to protection", "covered", "outage: domains delayed", "harm to others")
	row(b, "---", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:", "---:")
	for _, f := range all {
		others := "–"
		if f.Others >= 0 {
			others = comma(f.Others)
		}
		row(b, f.Rule, fmt.Sprintf("%d (%.1f %%)", f.First, percent(f.First, f.Attacks)), fmt.Sprint(f.Later),
			fmt.Sprint(f.Attacks-f.First-f.Later), fmt.Sprintf("%d of %d", f.KnownFirst, f.Known),
			fmt.Sprintf("%.0f %%", percent(f.Leaked, f.Stripped)), comma(f.perMillion(f.Delayed)), comma(f.perMillion(f.Lost)),
			fmt.Sprintf("%.2f", f.aDay(f.Wrong)), fmt.Sprintf("%.2f", f.aDay(f.WrongIncidents)), fmt.Sprint(f.Pinned),
			fmt.Sprintf("%d, %d; %.0f %%", f.Median, f.Late, f.Unprotected), fmt.Sprintf("%.1f %%", f.Covered),
			comma(f.OutageDomains), others)
	}
	b.WriteString("\n")
}

func attackTable(b *strings.Builder, all []*Figures) {
	compared := []*Figures{all[0]}
	for _, f := range all[1:] {
		if f.Other {
			compared = append(compared, f)
		}
	}
	head, line := []string{"attack", "attacks"}, []string{"---", "---:"}
	for _, f := range compared {
		head, line = append(head, f.Rule+": at first, later"), append(line, "---:")
	}
	row(b, append(head, "no part of the aims, for")...)
	row(b, append(line, "---")...)
	for i := range all[0].Rows {
		r := &all[0].Rows[i]
		cells := []string{r.Attack.Name, fmt.Sprint(r.Attacks)}
		for _, f := range compared {
			cells = append(cells, fmt.Sprintf("%d, %d", f.Rows[i].First, f.Rows[i].Later))
		}
		row(b, append(cells, r.Attack.Hopeless)...)
	}
	b.WriteString("\n")
}

func peerTable(b *strings.Builder, f *Figures) {
	row(b, "peers, by our defaults", "peers", "messages", "delayed", "lost", "wrong alerts")
	row(b, "---", "---:", "---:", "---:", "---:", "---:")
	for _, k := range f.Peers {
		messages := comma(k.Messages)
		if k.Kind.Junk {
			messages = "junk"
		}
		row(b, k.Kind.Name, comma(k.Peers), messages, comma(k.Delayed), comma(k.Lost), fmt.Sprint(k.Wrong))
	}
}

func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// perMillion is how many of a million legitimate messages n are.
func (f *Figures) perMillion(n int) int { return (n*1_000_000 + f.Messages/2) / max(f.Messages, 1) }

// aDay is how many n are a day, in a world with a million messages in all.
func (f *Figures) aDay(n int) float64 {
	return float64(n) / float64(f.Days) / float64(f.All) * 1_000_000
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }

// comma returns n with commas.
func comma(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
