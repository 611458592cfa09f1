package main

import (
	"encoding/json"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
)

func outboundCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "outbound", Usage: "show the mail that you send: who is held, what waits, what would have waited",
		Flags: operatorFlags(
			&cli.StringFlag{Name: "set", Usage: "`ANSWER` to many failures at once: release sends all mail, hold counts each destination's own days; auto ends the override"},
			&cli.StringFlag{Name: "why", Usage: "`TEXT` for the log; must be there with --set"},
		),
		Action: operation(func(c *cli.Context, a admin.Admin) error {
			if err := noArguments(c); err != nil {
				return err
			}
			o, err := a.Outbound(c.Context, override(c))
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return json.NewEncoder(stdout).Encode(o)
			}
			return o.Write(stdout, time.Now())
		}, stderr),
	}
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
	o, err := a.Outbound(c.Context, admin.Override{})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return json.NewEncoder(w).Encode(o.Sent)
	}
	return o.Sent.Write(w)
}
