package main

import (
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/daemon"
	"tlsratchet/internal/outbound"
)

func outboundCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "outbound", Usage: "show the mail that you send: who is held, what waits, what would have waited",
		Flags: overrideFlags("`ANSWER` to many failures at once: release sends all mail, hold counts each destination's own days; auto ends the override"),
		Action: operationOn(daemon.OperateDaemon, func(c *cli.Context, a admin.Admin) error {
			wish, err := override(c)
			if err != nil {
				return err
			}
			o, err := a.Outbound(c.Context, wish)
			if err != nil {
				return err
			}
			return show(c, stdout, o, func() error { return o.Write(stdout, time.Now()) })
		}, stderr),
	}
}

// explainTo prints what Postfix is answered for a destination.
func explainTo(c *cli.Context, a admin.Admin, w io.Writer) error {
	e, err := a.ExplainTo(c.Context, c.String("to"))
	if err != nil {
		return err
	}
	return show(c, w, e, func() error { return numbered(w, e.Rules) })
}

// reportOutbound prints how much of our own mail was sent encrypted.
func reportOutbound(c *cli.Context, a admin.Admin, w io.Writer) error {
	o, err := a.Outbound(c.Context, admin.Override{})
	if err != nil {
		return err
	}
	return printSent(c, &o.Sent, w)
}

func printSent(c *cli.Context, s *outbound.Sent, w io.Writer) error {
	if c.Bool("csv") {
		var days []reportDay
		for _, d := range s.Days {
			days = append(days, reportDay{Day: d.Day.String(), ByLevel: d.Levels}.summed())
		}
		return writeDays(w, "outbound", days)
	}
	s.Clear = s.Clear[:min(len(s.Clear), c.Int("limit"))]
	return show(c, w, s, func() error { return s.Write(w) })
}
