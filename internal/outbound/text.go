package outbound

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// Write writes the overview for people, as it is at the given time.
func (o *Overview) Write(w io.Writer, now time.Time) {
	fmt.Fprintf(w, "Action: %s. Postfix asked %d times; %d answers were \"encrypt\".\n", o.Action, o.Lookups, o.Encrypts)
	if o.Forbidden != "" {
		fmt.Fprintf(w, "Nothing can be held: %s.\n", o.Forbidden)
	}
	switch {
	case o.Fault != "":
		fmt.Fprintf(w, "The log is not read: %s.\n", o.Fault)
	case o.LastLine.IsZero():
		fmt.Fprintf(w, "Log: %s. No line about a delivery was read yet.\n", o.Log)
	default:
		fmt.Fprintf(w, "Log: %s. The newest line about a delivery is %s old.\n", o.Log, max(now.Sub(o.LastLine), 0).Round(time.Second))
	}
	if o.Unlogged != "" {
		fmt.Fprintf(w, "Mail without a line about TLS in the log is unknown, never in clear: %s is 0.\n", o.Unlogged)
	}
	if !o.Outage.Since.IsZero() {
		fmt.Fprintf(w, "Outage of our own network since %s: %d destinations fail.\n", o.Outage.Since.UTC().Format(time.RFC3339), len(o.Outage.Failing))
	}
	if o.Outage.Override != "" {
		fmt.Fprintf(w, "Override: %s.\n", overrideWords[o.Outage.Override])
	}
	if len(o.Waiting) > 0 {
		writeWaiting(w, o.Waiting)
	} else {
		fmt.Fprintln(w, "No destination fails.")
	}
}

func writeWaiting(w io.Writer, all []Waiting) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DESTINATION\tPIN\tSINCE\tWAITING\tIN CLEAR\tRELEASE\tREASON")
	for i := range all {
		d := &all[i]
		reason := d.Reason
		if len(d.Hosts) > 0 { // none where Postfix did not try
			reason += " by " + strings.Join(d.Hosts, ", ")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", d.Destination, d.Pin, d.First.UTC().Format(time.DateOnly), len(d.QueueIDs), d.Observed, cmp.Or(d.Release, "never"), reason)
	}
	table.Flush()
	for i := range all {
		switch d := &all[i]; {
		case len(d.QueueIDs) == 0:
		case d.Required: // by no pin
			fmt.Fprintf(w, "To let the mail to %s go now: change its row of [[send]], reload tlsratchet, then postqueue -f\n", d.Destination)
		default:
			fmt.Fprintf(w, "To let the mail to %s go now: tlsratchet peer unpin --why 'REASON' destination:%[1]s && postqueue -f\n", d.Destination)
		}
	}
}

// Write writes how much of our own mail was sent encrypted, for people.
func (s *Sent) Write(w io.Writer) {
	var sum [tlsstate.TLS13 + 1]uint64
	for _, d := range s.Days {
		for l, n := range d.Levels {
			sum[l] += n
		}
	}
	encrypted, all := words.Encrypted(sum)
	if all == 0 {
		fmt.Fprintln(w, "No delivery is known yet.")
		return
	}
	fmt.Fprintf(w, "%d recipients on %d days, %.1f %% encrypted.\n", all, len(s.Days), 100*float64(encrypted)/float64(all))
	for l, n := range sum {
		fmt.Fprintf(w, "  %-8s %d\n", tlsstate.Level(l), n)
	}
	if len(s.Clear) > 0 {
		fmt.Fprintln(w, "In clear, the largest first:")
	}
	for _, d := range s.Clear {
		state := ""
		if d.State != "" {
			state = " (" + d.State + ")"
		}
		fmt.Fprintf(w, "  %-8d %s%s\n", d.Recipients, d.Destination, state)
	}
}
