package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/outbound"
)

func explainCommand() *cli.Command {
	return &cli.Command{
		Name: "explain", Usage: "show what would happen to a session now, rule by rule", ArgsUsage: "NAME",
		Description: "NAME is the client's host name as DNS confirms it, its address, or an identity or row as the log has it\n" +
			"(sender:bank.example, row:bank.example).",
		Flags: operatorFlags(
			&cli.StringFlag{Name: "tls", Value: "none", Usage: "the session's `PROTOCOL`: none, SSLv3, TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3"},
			&cli.StringFlag{Name: "client", Usage: "the client's `ADDRESS`"},
			&cli.StringFlag{Name: "from", Usage: "the sender's `ADDRESS`: rows by sender count too"},
			&cli.StringFlag{Name: "to", Usage: "explain instead what Postfix is answered for mail to a `DOMAIN`"},
		),
		Action: operation(explain),
	}
}

// protocols are what a session can be explained with, as Postfix names them.
var protocols = []string{"none", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}

func explain(c *cli.Context) (job, error) {
	if c.IsSet("to") {
		return explainTo(c)
	}
	name, err := argument(c, "NAME")
	if err != nil {
		return nil, err
	}
	if tls := c.String("tls"); !slices.Contains(protocols, tls) {
		return nil, usagef("--tls: unknown protocol %q: use %s", tls, strings.Join(protocols, ", "))
	}
	q := admin.Question{Name: name, Client: c.String("client"), TLS: c.String("tls"), From: c.String("from")}
	return answer(c, func(a *admin.Admin) (admin.Answer, error) { return a.Explain(c.Context, q) },
		func(e admin.Answer, w io.Writer) { numbered(w, e.Rules) }), q.Check()
}

// explainTo prints what Postfix is answered for a destination.
func explainTo(c *cli.Context) (job, error) {
	if c.IsSet("client") || c.IsSet("tls") || c.IsSet("from") || c.NArg() > 0 {
		return nil, usagef("--to takes no NAME, --client, --tls or --from: it is about the mail that you send")
	}
	to := c.String("to")
	return answer(c, func(a *admin.Admin) (outbound.Explanation, error) { return a.ExplainTo(c.Context, to) },
		func(e outbound.Explanation, w io.Writer) { numbered(w, e.Rules) }), admin.CheckDestination(to)
}

// numbered prints rules, a line each.
func numbered(w io.Writer, rules []string) {
	for i, rule := range rules {
		fmt.Fprintf(w, "%d. %s\n", i+1, rule)
	}
}
