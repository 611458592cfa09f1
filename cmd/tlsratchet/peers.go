package main

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/peer"
	"tlsratchet/tlsstate"
)

func peersCommand() *cli.Command {
	return &cli.Command{
		Name:  "peers",
		Usage: "list what is remembered of peers",
		Description: "In the order of their kinds and names. The columns none to 1.3 are on how many of the last 64\n" +
			"days each level was seen; peer show prints on which. The host name of an address stands last.",
		Flags: operatorFlags(
			&cli.BoolFlag{Name: "pinned", DisableDefaultText: true, Usage: "those with a pin that holds"},
			&cli.BoolFlag{Name: "released", DisableDefaultText: true, Usage: "those whose pin formed, and doesn't hold"},
			&cli.BoolFlag{Name: "downgraded", DisableDefaultText: true, Usage: "those below a pin that holds, on the day on which it was last met or since"},
			&cli.StringFlag{Name: "level", Usage: "those whose best `LEVEL` in 64 days is none, weak, TLSv1.2 or TLSv1.3"},
			&cli.StringFlag{Name: "kind", Usage: "those of one `KIND`: address, domain, sender, listener, destination, mx or network"},
			&cli.StringFlag{Name: "domain", Usage: "`DOMAIN` and the names below it"},
			&cli.BoolFlag{Name: "addresses", DisableDefaultText: true, Usage: "with --domain: the addresses whose host name is in it"},
			&cli.StringFlag{Name: "sort", Usage: "by `WHAT`: last, first or days; needs --limit"},
			&cli.IntFlag{Name: "limit", DefaultText: "all", Usage: "at most `N`"},
		),
		Action: operation(func(c *cli.Context) (job, error) {
			q, err := peersQuery(c)
			return func(a *admin.Admin) error { return listPeers(c, a, q) }, err
		}),
	}
}

func peersQuery(c *cli.Context) (q admin.Query, err error) {
	q = admin.Query{
		Pinned: c.Bool("pinned"), Released: c.Bool("released"), Downgraded: c.Bool("downgraded"),
		Addresses: c.Bool("addresses"), Limit: c.Int("limit"),
	}
	if s := c.String("domain"); s != "" {
		if q.Below, err = peer.Normalize(s); err != nil {
			return q, usagef("--domain: %w", err)
		}
	}
	if q.Leveled = c.IsSet("level"); q.Leveled {
		if q.Level, err = tlsstate.ParseLevel(c.String("level")); err != nil {
			return q, usagef("--level: %w", err)
		}
	}
	if s := c.String("kind"); s != "" {
		id, err := tlsstate.ParseIdentity(s + ":x")
		if err != nil {
			return q, usagef("--kind: unknown kind %q: use address, domain, sender, listener, destination, mx or network", s)
		}
		q.Kind = id.Kind
	}
	by := c.String("sort")
	switch {
	case q.Addresses && (q.Below == "" || q.Kind != 0):
		err = usagef("--addresses goes with --domain DOMAIN, and without --kind")
	case by != "" && orders[by] == nil:
		err = usagef("--sort: unknown order %q: use last, first or days", by)
	case by != "" && q.Limit == 0:
		err = usagef("--sort needs --limit: without it the list streams in key order")
	}
	return q, err
}

// orders are the values of --sort: each sorts the better row first.
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

func listPeers(c *cli.Context, a *admin.Admin, q admin.Query) error {
	order, limit := orders[c.String("sort")], q.Limit
	if order == nil {
		return printRows(c, a.Peers(c.Context, q))
	}
	q.Limit = 0
	return printRows(c, top(a.Peers(c.Context, q), limit, order))
}

// top lists the best n rows of a list, in order.
func top(rows iter.Seq2[admin.Row, error], n int, order func(a, b admin.Row) int) iter.Seq2[admin.Row, error] {
	return func(yield func(admin.Row, error) bool) {
		var best []admin.Row
		for r, err := range rows {
			if err != nil {
				yield(r, err)
				return
			}
			at, _ := slices.BinarySearchFunc(best, r, func(a, b admin.Row) int {
				return cmp.Or(order(a, b), -1) // after its equals
			})
			if at < n {
				best = slices.Insert(best, at, r)
				best = best[:min(n, len(best))]
			}
		}
		for _, r := range best {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Rows have 80 columns, so long as names have 33.
const (
	rowFormat   = "%-33s %-7s %s %-10s %4s %4s %3s %3s"
	stateFormat = "%-9s"
)

// printRows prints a list as it comes, in columns that fit a terminal.
func printRows(c *cli.Context, rows iter.Seq2[admin.Row, error]) error {
	w := c.App.Writer
	if c.Bool("json") {
		return admin.WriteLines(w, rows)
	}
	n := 0
	for r, err := range rows {
		if err != nil {
			return err
		}
		if n == 0 {
			head := fmt.Sprintf(rowFormat, "IDENTITY", "PIN", fmt.Sprintf(stateFormat, "STATE"), "LAST", "none", "weak", "1.2", "1.3")
			fmt.Fprintln(w, colour(w, bold, head))
		}
		if err := printRow(w, &r); err != nil {
			return err
		}
		n++
	}
	if n == 0 {
		fmt.Fprintln(c.App.ErrWriter, "tlsratchet: no peers to list")
	}
	return nil
}

func printRow(w io.Writer, r *admin.Row) error {
	as := yellow
	switch r.State {
	case "":
		as = plain
	case tlsstate.PinHolds.String():
		as = green
	}
	days := func(l tlsstate.Level) string {
		if n := r.Days[l.String()]; n > 0 {
			return strconv.Itoa(n)
		}
		return "-"
	}
	row := fmt.Sprintf(rowFormat, r.Identity, cmp.Or(r.Pin, "-"), colour(w, as, fmt.Sprintf(stateFormat, cmp.Or(r.State, "-"))), r.Last,
		days(tlsstate.Plaintext), days(tlsstate.Weak), days(tlsstate.TLS12), days(tlsstate.TLS13))
	if r.Host != "" {
		row += " " + r.Host
	}
	_, err := fmt.Fprintln(w, row)
	return err
}
