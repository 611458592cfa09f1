package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/tlsstate"
)

func peerCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name:  "peer",
		Usage: "look at one peer, or drop what holds it",
		Subcommands: []*cli.Command{
			{
				Name: "show", Usage: "show all that is known of one peer", ArgsUsage: "NAME", Description: aboutNames, Flags: operatorFlags(),
				Action: operation(func(c *cli.Context, a admin.Admin) error {
					return onPeer(c, stdout, func(id tlsstate.Identity) (admin.Detail, error) { return a.Peer(c.Context, id) })
				}, stderr),
			},
			actCommand("unpin", "let a peer go, until new days form a new pin", stdout, stderr),
			actCommand("forget", "forget a peer", stdout, stderr),
		},
		Action: needs("show, unpin or forget"),
	}
}

const aboutNames = "NAME is an identity as the log has it (address:192.0.2.10), an address, or a host or domain name."

func actCommand(name, usage string, stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, ArgsUsage: "NAME",
		Description: aboutNames + "\nA host is one identity by its address and another by its domain: let both go.",
		Flags:       operatorFlags(&cli.StringFlag{Name: "why", Usage: "`TEXT` for the log; must be there"}),
		Action: operation(func(c *cli.Context, a admin.Admin) error {
			return onPeer(c, stdout, func(id tlsstate.Identity) (admin.Detail, error) {
				return a.Do(c.Context, admin.Act{Do: name, Identity: id.String(), Why: c.String("why"), Who: operatorName()})
			})
		}, stderr),
	}
}

// onPeer prints what do returns of the peer that the command line names.
func onPeer(c *cli.Context, stdout io.Writer, do func(tlsstate.Identity) (admin.Detail, error)) error {
	name, err := argument(c, "NAME")
	if err != nil {
		return err
	}
	id, err := admin.Resolve(name)
	if err != nil {
		return err
	}
	d, err := do(id)
	if err != nil {
		return err
	}
	return show(c, stdout, d, func() error { return printDetail(d, stdout) })
}

func printDetail(d admin.Detail, w io.Writer) error {
	words := d.Words
	if d.Later != "" {
		words = append(words, d.Later)
	}
	_, err := fmt.Fprintf(w, "%s\n\n  %s\n  %s\n\n%s\n", brushFor(w).colour(bold, d.Identity), d.Strip, admin.StripLegend, strings.Join(words, "\n"))
	return err
}
