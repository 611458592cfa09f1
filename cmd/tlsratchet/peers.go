package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"tlsratchet/admin"
	"tlsratchet/tlsstate"
)

func peersCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name:  "peers",
		Usage: "list what is remembered of peers",
		Flags: operatorFlags(
			&cli.BoolFlag{Name: "pinned", DisableDefaultText: true, Usage: "those with a pin that holds"},
			&cli.BoolFlag{Name: "released", DisableDefaultText: true, Usage: "those whose pin formed, and doesn't hold"},
			&cli.BoolFlag{Name: "downgraded", DisableDefaultText: true, Usage: "those below a pin that holds, since it was last met"},
			&cli.StringFlag{Name: "level", Usage: "those whose best `LEVEL` in 64 days is none, weak, TLSv1.2 or TLSv1.3"},
			&cli.StringFlag{Name: "kind", Usage: "those of one `KIND`: address, domain, sender or listener"},
			&cli.StringFlag{Name: "domain", Usage: "`DOMAIN` and the names below it"},
			&cli.StringFlag{Name: "sort", Usage: "by `WHAT`: last, first or days; needs --limit"},
			&cli.IntFlag{Name: "limit", DefaultText: "all", Usage: "at most `N`"},
		),
		Action: operation(func(c *cli.Context, a admin.Admin) error {
			if err := noArguments(c); err != nil {
				return err
			}
			q, err := peersQuery(c)
			if err != nil {
				return err
			}
			return listPeers(c, a, q, stdout)
		}, stderr),
	}
}

func peersQuery(c *cli.Context) (q admin.Query, err error) {
	q = admin.Query{
		Pinned: c.Bool("pinned"), Released: c.Bool("released"), Downgraded: c.Bool("downgraded"),
		Below: strings.ToLower(c.String("domain")), Limit: c.Int("limit"),
	}
	if q.Limit < 0 {
		return q, usagef("--limit: want a whole number from 1 on")
	}
	if s := c.String("level"); s != "" {
		q.Leveled = true
		if q.Level, err = tlsstate.ParseLevel(s); err != nil {
			return q, usagef("--level: %w", err)
		}
	}
	if s := c.String("kind"); s != "" {
		id, err := tlsstate.ParseIdentity(s + ":x")
		if err != nil {
			return q, usagef("--kind: unknown kind %q: use address, domain, sender or listener", s)
		}
		q.Kind = id.Kind
	}
	return q, nil
}

// orders are what --sort takes, each the better one first.
var orders = map[string]func(a, b admin.Row) int{
	"last":  func(a, b admin.Row) int { return cmp.Compare(b.Last, a.Last) },
	"first": func(a, b admin.Row) int { return cmp.Compare(a.First, b.First) },
	"days":  func(a, b admin.Row) int { return cmp.Compare(allDays(b), allDays(a)) },
}

func allDays(r admin.Row) (n int) {
	for _, days := range r.Days {
		n += days
	}
	return n
}

func listPeers(c *cli.Context, a admin.Admin, q admin.Query, stdout io.Writer) error {
	by := c.String("sort")
	if by == "" {
		return printRows(a.Peers(c.Context, q), stdout, c.Bool("json"))
	}
	order, known := orders[by]
	switch {
	case !known:
		return usagef("--sort: unknown order %q: use last, first or days", by)
	case q.Limit == 0:
		return usagef("--sort needs --limit: without it the list streams in key order")
	}
	limit := q.Limit
	q.Limit = 0
	best, err := top(a.Peers(c.Context, q), limit, order)
	if err != nil {
		return err
	}
	return printRows(best, stdout, c.Bool("json"))
}

// top keeps the best n rows of a list, in order.
func top(rows iter.Seq2[admin.Row, error], n int, order func(a, b admin.Row) int) (iter.Seq2[admin.Row, error], error) {
	var best []admin.Row
	for r, err := range rows {
		if err != nil {
			return nil, err
		}
		at, _ := slices.BinarySearchFunc(best, r, func(a, b admin.Row) int {
			if d := order(a, b); d != 0 {
				return d
			}
			return -1 // after its equals
		})
		if at < n {
			best = slices.Insert(best, at, r)
			best = best[:min(n, len(best))]
		}
	}
	return func(yield func(admin.Row, error) bool) {
		for _, r := range best {
			if !yield(r, nil) {
				return
			}
		}
	}, nil
}

const rowFormat = "%-38s %-8s %-9s %-10s %s\n"

// printRows prints a list as it comes, in columns that fit a terminal.
func printRows(rows iter.Seq2[admin.Row, error], w io.Writer, asJSON bool) error {
	out, n := json.NewEncoder(w), 0
	for r, err := range rows {
		if err != nil {
			return err
		}
		if asJSON {
			if err := out.Encode(r); err != nil {
				return err
			}
			continue
		}
		if n == 0 {
			fmt.Fprintf(w, rowFormat, "IDENTITY", "PIN", "STATE", "LAST", "DAYS")
		}
		if _, err := fmt.Fprintf(w, rowFormat, r.Identity, dash(r.Pin), dash(r.State), r.Last, daysText(r.Days)); err != nil {
			return err
		}
		n++
	}
	return nil
}

func dash(s string) string { return cmp.Or(s, "-") }

// daysText is "3x none" and the like, the lowest level first.
func daysText(days map[string]int) string {
	var parts []string
	for l := tlsstate.Plaintext; l <= tlsstate.TLS13; l++ {
		if n := days[l.String()]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s:%d", l, n))
		}
	}
	return strings.Join(parts, " ")
}
