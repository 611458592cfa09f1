package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/outbound"
	"tlsratchet/tlsstate"
)

func outboundCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "outbound", Usage: "show the mail that you send: who is held, what waits, what would have waited",
		Flags: operatorFlags(),
		Action: operation(func(c *cli.Context, a admin.Admin) error {
			if err := noArguments(c); err != nil {
				return err
			}
			o, err := a.Outbound(c.Context)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return json.NewEncoder(stdout).Encode(o)
			}
			return showOutbound(stdout, &o, time.Now())
		}, stderr),
	}
}

func showOutbound(w io.Writer, o *outbound.Overview, now time.Time) error {
	fmt.Fprintf(w, "Action: %s. Postfix asked %d times; %d answers were \"encrypt\".\n", o.Action, o.Lookups, o.Encrypts)
	if o.Forbidden != "" {
		fmt.Fprintf(w, "Nothing can be held: %s.\n", o.Forbidden)
	}
	switch {
	case o.Fault != "":
		fmt.Fprintf(w, "The log is not read: %s.\n", o.Fault)
	case o.LastLine.IsZero():
		fmt.Fprintf(w, "Log: %s. No line was read yet.\n", o.Log)
	default:
		fmt.Fprintf(w, "Log: %s. The newest line is %s old.\n", o.Log, max(now.Sub(o.LastLine), 0).Round(time.Second))
	}
	if !o.Outage.Since.IsZero() {
		fmt.Fprintf(w, "Outage of our own network since %s: %d destinations fail.\n", o.Outage.Since.UTC().Format(time.RFC3339), len(o.Outage.Failing))
	}
	if len(o.Waiting) == 0 {
		_, err := fmt.Fprintln(w, "No destination fails.")
		return err
	}
	return showWaiting(w, o.Waiting)
}

func showWaiting(w io.Writer, all []outbound.Waiting) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DESTINATION\tPIN\tSINCE\tWAITING\tIN CLEAR\tRELEASE\tREASON")
	for i := range all {
		d := &all[i]
		release := d.Release
		if release == "" {
			release = "never"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", d.Destination, d.Pin, d.First.UTC().Format(time.DateOnly), len(d.QueueIDs), d.Observed, release,
			d.Reason+" by "+strings.Join(d.Hosts, ", "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for i := range all {
		if len(all[i].QueueIDs) > 0 {
			fmt.Fprintf(w, "To let the mail to %s go now: tlsratchet peer unpin --why 'REASON' destination:%[1]s && postqueue -f\n", all[i].Destination)
		}
	}
	return nil
}

// explainTo prints what Postfix is answered for a destination.
func explainTo(c *cli.Context, a admin.Admin, w io.Writer) error {
	e, err := a.ExplainTo(c.Context, c.String("to"))
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return json.NewEncoder(w).Encode(e)
	}
	return numbered(w, e.Rules)
}

// reportOutbound prints how much of our own mail was sent encrypted.
func reportOutbound(c *cli.Context, a admin.Admin, w io.Writer) error {
	o, err := a.Outbound(c.Context)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return json.NewEncoder(w).Encode(o.Sent)
	}
	var sum [tlsstate.TLS13 + 1]uint64
	all := uint64(0)
	for _, d := range o.Sent.Days {
		for l, n := range d.Levels {
			sum[l] += n
			all += n
		}
	}
	if all == 0 {
		_, err := fmt.Fprintln(w, "No delivery is known yet.")
		return err
	}
	fmt.Fprintf(w, "%d recipients on %d days, %.1f %% encrypted.\n", all, len(o.Sent.Days), 100*float64(all-sum[tlsstate.Plaintext])/float64(all))
	for l, n := range sum {
		fmt.Fprintf(w, "  %-8s %d\n", tlsstate.Level(l), n)
	}
	if len(o.Sent.Clear) > 0 {
		fmt.Fprintln(w, "In clear, the largest first:")
	}
	for _, d := range o.Sent.Clear[:min(len(o.Sent.Clear), 20)] {
		fmt.Fprintf(w, "  %-8d %s\n", d.Recipients, d.Destination)
	}
	return nil
}
