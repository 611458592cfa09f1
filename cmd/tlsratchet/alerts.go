package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/daemon"
)

func alertCommand() *cli.Command {
	return &cli.Command{
		Name:  "alert",
		Usage: "try the destinations of alerts",
		Subcommands: []*cli.Command{{
			Name:   "test",
			Usage:  "send one message to each destination, and print what came back",
			Flags:  operatorFlags(),
			Action: testAlerts,
		}},
		Action: needs("test"),
	}
}

// errUndelivered ends the command when a destination took nothing.
var errUndelivered = errors.New("not every destination accepted the message")

func testAlerts(c *cli.Context) error {
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	to, err := daemon.Destinations(cfg, os.LookupEnv, daemon.NewLogger(c.App.ErrWriter, cfg, &slog.LevelVar{}))
	if err != nil {
		return err
	}
	if len(to) == 0 {
		return errors.New("no alerts are sent: there is no [[destination]] in the configuration")
	}
	var failed error
	for _, r := range alert.Test(c.Context, to, daemon.Hostname()) {
		if r.Err != nil {
			failed = errUndelivered
		}
		printResult(c, r)
	}
	return failed
}

func printResult(c *cli.Context, r alert.Result) {
	word, answer, as := "accepted", r.Answer, green
	if r.Err != nil {
		word, answer, as = "failed", r.Err.Error(), red
	}
	shown := map[string]any{
		"destination": r.Destination, "ok": r.Err == nil, "answer": answer, "milliseconds": r.Took.Milliseconds(),
	}
	show(c, shown, func(w io.Writer) {
		answer = strings.Map(printable, answer) // an error may hold a server's names
		fmt.Fprintf(w, "%s %s (%d ms): %s\n", colour(w, as, fmt.Sprintf("%-8s", word)), r.Destination, r.Took.Milliseconds(), answer)
	})
}
