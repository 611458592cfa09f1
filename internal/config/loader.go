package config

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xrash/smetrics"

	"tlsratchet/tlsstate"
)

// loader puts the layers over the defaults and gathers what is wrong.
type loader struct {
	file   string
	doc    *document
	config *Config
	// settings are those of config.
	settings []setting
	// tables are the positions in the file of the rows in config.Peers and, after
	// them, the keys of the lists of networks; sendTables of those in config.Sends.
	tables, sendTables []string
	// variables are the variables and flags that override keys.
	variables map[string]string

	problems []problem
}

func newLoader(file string, c *Config) *loader {
	l := &loader{file: file, doc: &document{}, config: c, settings: settings(c), variables: make(map[string]string)}
	c.problem = l.problem
	return l
}

// problem is one thing that is wrong. line is 0 for what is not in the file.
type problem struct {
	file  string
	line  int
	where string // the key, variable or flag, if it is known
	err   error
}

// Error returns where it is and what would be right, in one line.
func (p problem) Error() string {
	var b strings.Builder
	if p.line > 0 {
		fmt.Fprintf(&b, "%s:%d: ", p.file, p.line)
	}
	if p.where != "" {
		b.WriteString(p.where + ": ")
	}
	return b.String() + p.err.Error()
}

func (p problem) Unwrap() error { return p.err }

// err joins the problems: those of the file by line, then the others.
func (l *loader) err() error {
	slices.SortStableFunc(l.problems, func(a, b problem) int {
		if (a.line == 0) != (b.line == 0) {
			return b.line - a.line
		}
		return cmp.Or(a.line-b.line, strings.Compare(a.where, b.where))
	})
	var errs []error
	for _, p := range l.problems {
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// problem returns an error of a position of the file, or of the variable or flag
// that overrides it.
func (l *loader) problem(position string, err error) problem {
	if name, ok := l.variables[position]; ok {
		return problem{where: name, err: err}
	}
	return problem{l.file, l.doc.line(position), withoutIndex(position), err}
}

// withoutIndex returns the name of a key in a row, "peer.domain" for
// "peer[1].domain".
func withoutIndex(position string) string {
	row, key, ok := strings.Cut(position, "]")
	name, _, _ := strings.Cut(row, "[")
	if !ok || strings.Contains(name, `"`) {
		return position
	}
	return name + key
}

// at notes a problem of a position.
func (l *loader) at(position string, err error) {
	l.problems = append(l.problems, l.problem(position, err))
}

func (l *loader) fromFile(data []byte) {
	doc, broken := parse(data)
	if broken != nil {
		broken.file = l.file
		l.problems = append(l.problems, *broken)
		return
	}
	l.doc = doc
	l.config.Peers, l.tables = rows(l, "peer", peerSettings)
	l.config.Sends, l.sendTables = rows(l, "send", sendSettings)
	l.destinations()
	l.fill(l.settings, "", doc.values)
}

// fill sets what the table at a position says, which is "" for the whole file.
func (l *loader) fill(all []setting, position string, table map[string]any) {
	for name, raw := range table {
		at := dotted(position, name)
		key := withoutIndex(at)
		if i := slices.IndexFunc(all, func(s setting) bool { return s.name == key }); i >= 0 {
			if err := all[i].set(raw); err != nil {
				l.at(at, err)
			}
		} else if sub, ok := raw.(map[string]any); ok && isTable(all, key) {
			l.fill(all, at, sub)
		} else {
			l.at(at, misplaced(all, withoutIndex(position), name))
		}
	}
}

func isTable(all []setting, key string) bool {
	return slices.ContainsFunc(all, func(s setting) bool { return strings.HasPrefix(s.name, key+".") })
}

// misplaced says what would be right in place of an unknown key.
func misplaced(all []setting, group, name string) error {
	if group == "" && isTable(all, name) {
		return fmt.Errorf("it is a table: write [%s]", name)
	}
	var here []string
	for _, s := range all {
		table, key, nested := strings.Cut(s.name, ".")
		if !nested {
			table, key = "", s.name
		}
		switch {
		case s.flag() == name && key != name:
			return fmt.Errorf("unknown key: in the file it is %s in [%s]", key, table)
		case table == group:
			here = append(here, key)
		case key == name && table == "":
			return fmt.Errorf("unknown key: %s belongs at the top, before the first [table]", name)
		case key == name:
			return fmt.Errorf("unknown key: %s belongs in [%s]", name, table)
		case group == "" && !slices.Contains(here, "["+table+"]"):
			here = append(here, "["+table+"]")
		}
	}
	if group == "" {
		here = append(here, "[[peer]]", "[[send]]", "[[destination]]")
	}
	if best := Nearest(name, here); best != "" {
		return fmt.Errorf("unknown key: did you mean %s?", best)
	}
	return fmt.Errorf("unknown key: use %s", strings.Join(here, ", "))
}

// Nearest returns the name that somebody may have meant, or "". Names may be in
// brackets.
func Nearest(meant string, names []string) (best string) {
	least := 3 // letters that differ, at most one fewer
	for _, name := range names {
		bare := strings.Trim(name, "[]")
		if n := smetrics.WagnerFischer(meant, bare, 1, 1, 1); n < least && n < len(bare) {
			best, least = name, n
		}
	}
	return best
}

// rows takes the rows of an array of tables out of the document. It returns
// those whose keys are right, and their positions.
func rows[T any](l *loader, name string, keys func(*T) []setting) (all []T, positions []string) {
	given, ok := l.doc.values[name]
	delete(l.doc.values, name)
	if !ok {
		return nil, nil
	}
	list, ok := given.([]any)
	if !ok {
		l.at(name, fmt.Errorf("want rows that begin with [[%s]], got %s", name, shown(given)))
	}
	for i, raw := range list {
		position := element(name, i)
		table, ok := raw.(map[string]any)
		if !ok {
			l.at(position, fmt.Errorf("want rows that begin with [[%s]], got %s in the list", name, shown(raw)))
			continue
		}
		var row T
		before := len(l.problems)
		l.fill(keys(&row), position, table)
		if len(l.problems) == before {
			all, positions = append(all, row), append(positions, position)
		}
	}
	return all, positions
}

// overrides puts the variables and the flags over the file.
func (l *loader) overrides(env func(string) (string, bool), flags Flags) {
	for _, s := range l.settings {
		if text, given := env(s.variable()); given {
			l.override(s.variable(), s, s.text(text))
		}
		if text, given := flags[s.flag()]; given {
			if abs, err := filepath.Abs(text); err == nil && s.name == "history" && text != "" && text != Memory {
				text = abs
			}
			l.override("--"+s.flag(), s, s.text(text))
		}
	}
}

func (l *loader) override(where string, s setting, raw any) {
	l.variables[s.name] = where
	if err := s.set(raw); err != nil {
		l.at(s.name, err)
	}
}

// rules makes the rules of the policy, of the rows that are right so far, and of the
// networks that are exempt or judged. A network that a row names too is the row's.
func (l *loader) rules() {
	rows := slices.Clone(l.config.Peers)
	add := func(key string, row tlsstate.Row) {
		same := func(other tlsstate.Row) bool { return other.Network == row.Network }
		if !slices.ContainsFunc(l.config.Peers, same) {
			rows, l.tables = append(rows, row), append(l.tables, key)
		}
	}
	for _, network := range l.config.ExemptNetworks {
		add("exempt_networks", tlsstate.Row{Network: network, Exempt: true})
	}
	for _, network := range l.config.JudgeNetworks {
		add("judge_networks", tlsstate.Row{Network: network, Judged: true})
	}
	l.check(rows)
	rules, err := tlsstate.NewRules(l.config.Policy, rows)
	l.config.rules = rules
	l.rowErrors(err, l.tables)
	rules, err = tlsstate.NewRules(l.config.outboundPolicy(), l.config.Sends)
	l.config.outboundRules = rules
	l.rowErrors(err, l.sendTables)
}

// rowErrors notes what is wrong with rows, whose positions are in tables.
func (l *loader) rowErrors(err error, tables []string) {
	if err == nil {
		return
	}
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() { // of [tlsstate.NewRules]
		row := err.(*tlsstate.RowError)
		position := tables[row.Row]
		if row.Key != "" && strings.HasSuffix(position, "]") {
			position = dotted(position, row.Key)
		}
		l.at(position, row.Err)
	}
}
