package main

import (
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/daemon"
)

func outboundCommand() *cli.Command {
	return &cli.Command{
		Name: "outbound", Usage: "show the mail that you send: who is held, what waits, what would have waited",
		Flags: overrideFlags("`ANSWER` to many failures at once: release sends all mail, hold counts each destination's own days; auto ends the override"),
		Action: operationOn(daemon.OperateDaemon, func(c *cli.Context) (job, error) {
			wish, err := override(c, admin.OutboundAnswers)
			return func(a *admin.Admin) error {
				o, err := a.Outbound(c.Context, wish)
				if err != nil {
					return err
				}
				return show(c, o, func(w io.Writer) error { return o.Write(w, time.Now()) })
			}, err
		}),
	}
}
