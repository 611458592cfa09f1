package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/incident"
)

func incidentsCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name:  "incidents",
		Usage: "list incidents, the newest first, or show those of one peer",
		Flags: operatorFlags(
			&cli.BoolFlag{Name: "open", DisableDefaultText: true, Usage: "only those that are open"},
			&cli.IntFlag{Name: "limit", Value: 50, Usage: "at most `N`; 0 for all"},
		),
		Action: operation(func(c *cli.Context, a admin.Admin) error {
			if c.NArg() > 0 {
				return usagef("unknown command incidents %q: use show", c.Args().First())
			}
			if c.Int("limit") < 0 {
				return usagef("--limit: want a whole number from 0 on")
			}
			all, err := a.Incidents(c.Context)
			if err != nil {
				return err
			}
			return listIncidents(c, all, stdout)
		}, stderr),
		Subcommands: []*cli.Command{{
			Name:      "show",
			Usage:     "show the incidents of a peer, with all evidence",
			ArgsUsage: "NAME",
			Description: "NAME is an incident's number, an identity as in the log (address:192.0.2.10), an address, or\n" +
				"the name of a host or domain.",
			Flags: operatorFlags(),
			Action: operation(func(c *cli.Context, a admin.Admin) error {
				name, err := argument(c, "NAME")
				if err != nil {
					return err
				}
				all, err := a.Incidents(c.Context)
				if err != nil {
					return err
				}
				return showIncidents(c, all, name, stdout)
			}, stderr),
		}},
	}
}

func listIncidents(c *cli.Context, all []incident.Incident, w io.Writer) error {
	limit := c.Int("limit")
	if !c.Bool("json") {
		fmt.Fprintf(w, "%-4s %-36s %-15s %8s  %s\n", "ID", "IDENTITY", "KIND", "MESSAGES", "STATE")
	}
	shown := 0
	for i := range all {
		if c.Bool("open") && !all[i].IsOpen() {
			continue
		}
		if shown++; limit > 0 && shown > limit {
			break
		}
		if err := listIncident(c, &all[i], w); err != nil {
			return err
		}
	}
	return nil
}

func listIncident(c *cli.Context, i *incident.Incident, w io.Writer) error {
	if c.Bool("json") {
		return json.NewEncoder(w).Encode(i)
	}
	state := "open since " + incident.Stamp(i.Opened)
	if !i.IsOpen() {
		state = fmt.Sprintf("closed %s (%s)", incident.Stamp(i.Closed), i.ClosedBy)
	}
	_, err := fmt.Fprintf(w, "%-4d %-36s %-15s %8d  %s\n", i.ID, i.Identity, i.Kind, i.Messages, state)
	return err
}

func showIncidents(c *cli.Context, all []incident.Incident, name string, w io.Writer) error {
	found := 0
	for n := range all {
		i := &all[n]
		if !isAbout(i, name) {
			continue
		}
		if found++; found > 1 && !c.Bool("json") {
			fmt.Fprintln(w)
		}
		if c.Bool("json") {
			if err := json.NewEncoder(w).Encode(i); err != nil {
				return err
			}
			continue
		}
		i.Write(w)
	}
	if found == 0 {
		return fmt.Errorf("no incident of %s; list them with: tlsratchet incidents", strconv.QuoteToASCII(name))
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
