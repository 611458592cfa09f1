package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/tlsstate"
)

func peerCommand() *cli.Command {
	return &cli.Command{
		Name:  "peer",
		Usage: "show one peer, or release it",
		Subcommands: []*cli.Command{
			{
				Name: "show", Usage: "show all that is known of one peer", ArgsUsage: "NAME", Description: aboutNames, Flags: operatorFlags(),
				Action: operation(func(c *cli.Context) (job, error) {
					id, err := peerArgument(c)
					return answer(c, func(a *admin.Admin) (admin.Detail, error) { return a.Peer(c.Context, id) }, printDetail), err
				}),
			},
			actCommand("unpin", "release a peer, until new days form a new pin"),
			actCommand("forget", "forget a peer"),
		},
		Action: needs("show, unpin or forget"),
	}
}

const aboutNames = "NAME is an identity as the log has it (address:192.0.2.10), an address, or a host or domain name."

func actCommand(name, usage string) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, ArgsUsage: "NAME",
		Description: aboutNames + "\nA host is one identity by its address and another by its domain: release both.",
		Flags:       operatorFlags(&cli.StringFlag{Name: "why", Usage: "`TEXT` for the log; required"}),
		Action: operation(func(c *cli.Context) (job, error) {
			id, err := peerArgument(c)
			if err != nil {
				return nil, err
			}
			act := admin.Act{Do: name, Identity: id, Why: c.String("why"), Who: operatorName()}
			return answer(c, func(a *admin.Admin) (admin.Detail, error) { return a.Do(c.Context, act) }, printDetail), act.Check()
		}),
	}
}

// peerArgument returns the peer that the command line names.
func peerArgument(c *cli.Context) (id tlsstate.Identity, err error) {
	name, err := argument(c, "NAME")
	if err != nil {
		return id, err
	}
	return admin.Resolve(name)
}

func printDetail(d admin.Detail, w io.Writer) {
	words := d.Words
	if d.Later != "" {
		words = append(words, d.Later)
	}
	fmt.Fprintf(w, "%s\n\n  %s\n  %s\n\n%s\n", colour(w, bold, d.Identity), d.Strip, admin.StripLegend, strings.Join(words, "\n"))
}
