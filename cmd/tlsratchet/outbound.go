package main

import (
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/daemon"
	"tlsratchet/internal/outbound"
)

func outboundCommand() *cli.Command {
	return &cli.Command{
		Name: "outbound", Usage: "show the mail that you send: who is held, what waits, what would have waited",
		Flags: overrideFlags("`ANSWER` to many failures at once: release sends all mail, hold counts each destination's own days; auto ends the override"),
		Action: operationOn(daemon.MustRun, func(c *cli.Context) (job, error) {
			wish, err := override(c, admin.OutboundAnswers)
			return answer(c, func(a *admin.Admin) (outbound.Overview, error) { return a.Outbound(c.Context, wish) },
				func(o outbound.Overview, w io.Writer) { o.Write(w, time.Now()) }), err
		}),
	}
}
