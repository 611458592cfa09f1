// Command chaos measures what happens to mail, verdicts and memory when the
// server that several MX hosts share fails: three hosts, each with its own
// history file and ratchet, judge sessions while a real Valkey or Redis is
// killed, stopped, cut off, emptied or starved. docs/several-mx.md holds its
// table.
//
//	go run ./test/chaos                            # print it
//	go run ./test/chaos -write docs/several-mx.md  # and put it there
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"tlsratchet/test/chaos/servers"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "only faults with this `text` in their name")
	kind := flags.String("server", "", "only this one: `redis` or valkey")
	lasts := flags.Duration("lasts", 10*time.Second, "how long a fault lasts")
	stopped := flags.Duration("stopped", 30*time.Second, "how long SIGSTOP lasts")
	write := flags.String("write", "", "put the table between the marks in `FILE`")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	kinds := servers.Kinds
	if *kind != "" {
		kinds = []servers.Kind{servers.Kind(*kind)}
	}
	table, ok, err := measure(kinds, *only, func(f servers.Fault) time.Duration {
		if strings.Contains(f.Name, "SIGSTOP") {
			return *stopped
		}
		return *lasts
	}, stdout)
	if err == nil && *write != "" {
		err = replace(*write, table)
	}
	if err != nil {
		fmt.Fprintln(stderr, "chaos:", err)
		return 1
	}
	if !ok {
		fmt.Fprintln(stderr, "chaos: not all is as promised: see the table")
		return 1
	}
	return 0
}

// measure lets each fault happen to each server, and returns the table. ok says
// that it shows what is promised.
func measure(kinds []servers.Kind, only string, lasts func(servers.Fault) time.Duration, out io.Writer) (table string, ok bool, err error) {
	where := fmt.Sprintf("Three hosts and the server on one machine of %d cores.", runtime.NumCPU())
	lines := []string{
		where, "",
		"| fault | server | lasted | sessions judged | in clear, caught | p99 without a server | p99 during it | longest | all at one after | lost merges |",
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
	}
	fmt.Fprintln(out, strings.Join(lines, "\n"))
	ok = true
	for _, f := range servers.Faults() {
		if !strings.Contains(f.Name, only) {
			continue
		}
		for _, kind := range kinds {
			r, err := suffer(kind, f, lasts(f))
			if err != nil {
				return "", false, fmt.Errorf("%s, %s: %w", f.Name, kind, err)
			}
			lines = append(lines, r.row())
			fmt.Fprintln(out, r.row())
			if r.why != nil {
				fmt.Fprintf(out, "not judged: %v\n", r.why)
			}
			ok = ok && r.asPromised()
		}
	}
	return strings.Join(lines, "\n") + "\n", ok, nil
}

// The marks in the docs that the table is between.
const (
	beginMark = "<!-- chaos: begin -->\n"
	endMark   = "<!-- chaos: end -->\n"
)

func replace(file, table string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(data), beginMark)
	_, after, closed := strings.Cut(rest, endMark)
	if !found || !closed {
		return fmt.Errorf("%s has no marks for the table", file)
	}
	return os.WriteFile(file, []byte(before+beginMark+table+endMark+after), 0o644)
}
