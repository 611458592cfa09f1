// Command cmd tries the rules on a made-up world and prints the tables of
// docs/policy.md, or writes them into it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"tlsratchet/test/population"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit status: 1 for a failure, 2 for a wrong flag.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("population", flag.ContinueOnError)
	flags.SetOutput(stderr)
	write := flags.String("write", "", "put the tables between the marks of this `page`")
	sending := flags.Bool("sending", false, "try the rules for the mail that we send alone")
	o := population.Options{}
	flags.Uint64Var(&o.Seed, "seed", 1, "which world")
	flags.IntVar(&o.Peers, "peers", 5000, "about how many peers")
	flags.IntVar(&o.Days, "days", population.LeastDays, "how long")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if o.Peers < 100 || o.Days < population.LeastDays || flags.NArg() > 0 {
		fmt.Fprintf(stderr, "at least 100 peers and %d days, and no arguments\n", population.LeastDays)
		return 2
	}
	start := time.Now()
	progress := func(rule string) { fmt.Fprintf(stderr, "%4.0f s  %s\n", time.Since(start).Seconds(), rule) }
	err := trySending(o, *write, stdout, progress)
	if err == nil && !*sending {
		err = tryReceiving(o, *write, stdout, progress)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func trySending(o population.Options, page string, stdout io.Writer, progress func(string)) error {
	o.Peers = o.Peers * 3 / 5
	all, err := population.TrySending(o, population.SendRules(), func(f *population.SendFigures) { progress(f.Rule) })
	if err != nil {
		return err
	}
	return show(page, population.SendBegin, population.SendTables(o, all), stdout)
}

func tryReceiving(o population.Options, page string, stdout io.Writer, progress func(string)) error {
	all, err := population.TryAll(o, population.Rules(), func(f *population.Figures) { progress(f.Rule) })
	if err != nil {
		return err
	}
	sites, err := population.TrySites(o.Seed, func(f *population.SiteFigures) { progress(f.Site + ": " + f.Rule) })
	if err != nil {
		return err
	}
	return show(page, population.Begin, population.Tables(o, all)+"\n"+population.SiteTable(sites), stdout)
}

// show prints tables, or puts them into a page, after a mark.
func show(page, begin, tables string, stdout io.Writer) error {
	if page == "" {
		_, err := io.WriteString(stdout, tables)
		return err
	}
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	text, err := population.Insert(string(old), begin, tables)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(text), 0o644)
}
