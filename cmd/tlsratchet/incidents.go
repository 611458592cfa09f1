package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/incident"
)

func incidentsCommand() *cli.Command {
	return &cli.Command{
		Name:  "incidents",
		Usage: "list incidents, the newest first, or show those of one peer",
		Flags: operatorFlags(
			&cli.BoolFlag{Name: "open", DisableDefaultText: true, Usage: "only those that are open"},
			&cli.IntFlag{Name: "limit", Value: 50, Usage: "at most `N`; 0 for all"},
		),
		Action: operation(func(c *cli.Context) (job, error) {
			if c.NArg() > 0 {
				return nil, usagef("unknown command incidents %q: use show", c.Args().First())
			}
			return func(a *admin.Admin) error { return listIncidents(c, a) }, nil
		}),
		Subcommands: []*cli.Command{{
			Name:      "show",
			Usage:     "show the incidents of a peer, with all evidence",
			ArgsUsage: "NAME",
			Description: "NAME is an incident's number, an identity as in the log (address:192.0.2.10), an address, or\n" +
				"the name of a host or domain.",
			Flags: operatorFlags(),
			Action: operation(func(c *cli.Context) (job, error) {
				name, err := argument(c, "NAME")
				return func(a *admin.Admin) error { return showIncidents(c, a, name) }, err
			}),
		}},
	}
}

func listIncidents(c *cli.Context, a *admin.Admin) error {
	all, err := a.Incidents(c.Context)
	if err != nil {
		return err
	}
	if c.Bool("open") {
		all = slices.DeleteFunc(all, func(i incident.Incident) bool { return !i.IsOpen() })
	}
	if limit := c.Int("limit"); limit > 0 {
		all = all[:min(limit, len(all))]
	}
	if !c.Bool("json") {
		fmt.Fprintf(c.App.Writer, incidentFormat, "ID", "IDENTITY", "KIND", "MESSAGES", "STATE")
	}
	for i := range all {
		show(c, &all[i], func(w io.Writer) { writeRow(w, &all[i]) })
	}
	return nil
}

const incidentFormat = "%-4v %-36v %-15v %8v  %s\n"

func writeRow(w io.Writer, i *incident.Incident) {
	state := "open since " + incident.Stamp(i.Opened)
	if !i.IsOpen() {
		state = fmt.Sprintf("closed %s (%s)", incident.Stamp(i.Closed), i.ClosedBy)
	}
	fmt.Fprintf(w, incidentFormat, i.ID, i.Identity, i.Kind, i.Messages, state)
}

func showIncidents(c *cli.Context, a *admin.Admin, name string) error {
	all, err := a.Incidents(c.Context)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(i incident.Incident) bool { return !isAbout(&i, name) })
	if len(all) == 0 {
		return fmt.Errorf("no incident of %s; list them with: tlsratchet incidents", strconv.QuoteToASCII(name))
	}
	for i := range all {
		show(c, &all[i], func(w io.Writer) {
			if i > 0 {
				fmt.Fprintln(w)
			}
			all[i].Write(w)
		})
	}
	return nil
}

// isAbout reports whether an incident has that number, is of that identity, or
// has a client of that name.
func isAbout(i *incident.Incident, name string) bool {
	if strconv.FormatUint(i.ID, 10) == name || strings.EqualFold(i.Identity.Name, name) {
		return true
	}
	for _, c := range i.Clients {
		if strings.EqualFold(c.Host, name) || c.Address == name {
			return true
		}
	}
	id, err := admin.Resolve(name)
	return err == nil && id == i.Identity
}
