package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/config"
	"tlsratchet/internal/status"
)

// destinations makes those of the configuration. Their secrets are read here.
func destinations(cfg *config.Config, log *slog.Logger) ([]*alert.Destination, error) {
	var all []alert.Settings
	if cfg.Alert.Log != config.Off {
		least, err := alert.ParseSeverity(cfg.Alert.Log)
		if err != nil {
			return nil, usageError{err}
		}
		all = append(all, alert.Settings{Kind: alert.KindLog, Least: least})
	}
	for _, d := range cfg.Destinations {
		least, err := alert.ParseSeverity(d.Least)
		if err != nil {
			return nil, usageError{err}
		}
		all = append(all, alert.Settings{
			Kind: d.Kind, Least: least, URL: d.URL, Secret: d.Secret, Token: d.Token, Body: d.Body,
			Server: d.Server, To: d.To, From: d.From,
		})
	}
	made, err := alert.NewDestinations(all, alert.Environment{Host: hostname(), Getenv: os.LookupEnv, Log: log})
	if err != nil {
		return nil, usageError{err}
	}
	return made, nil
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// delivered lists what became of alerts, by destination.
func delivered(a *alert.Alerts) []status.Destination {
	var all []status.Destination
	for name, s := range a.Stats() {
		all = append(all, status.Destination{Name: name, Sent: s.Delivered, Failed: s.Failed, Dropped: s.Dropped})
	}
	slices.SortFunc(all, func(a, b status.Destination) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func alertCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name:  "alert",
		Usage: "try who is told",
		Subcommands: []*cli.Command{{
			Name:  "test",
			Usage: "send one message to each destination, and say what came back",
			Flags: operatorFlags(),
			Action: func(c *cli.Context) error {
				if err := noArguments(c); err != nil {
					return err
				}
				return testAlerts(c, stdout, stderr)
			},
		}},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("unknown command alert %q: use test", c.Args().First())
			}
			return usagef("alert needs test")
		},
	}
}

// errUndelivered ends the command when a destination took nothing.
var errUndelivered = errors.New("not every destination took the message")

func testAlerts(c *cli.Context, stdout, stderr io.Writer) error {
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	to, err := destinations(cfg, newLogger(stderr, cfg, &slog.LevelVar{}))
	if err != nil {
		return err
	}
	if len(to) == 0 {
		return errors.New("nobody is told: there is no [[destination]] in the configuration")
	}
	var failed error
	for _, r := range alert.Test(c.Context, to, hostname()) {
		if r.Err != nil {
			failed = errUndelivered
		}
		if err := tellResult(r, stdout, c.Bool("json")); err != nil {
			return err
		}
	}
	return failed
}

func tellResult(r alert.Result, w io.Writer, asJSON bool) error {
	word, said, as := "took it", r.Answer, green
	if r.Err != nil {
		word, said, as = "failed", r.Err.Error(), red
	}
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{
			"destination": r.Destination, "ok": r.Err == nil, "answer": said, "milliseconds": r.Took.Milliseconds(),
		})
	}
	_, err := fmt.Fprintf(w, "%s %s (%d ms): %s\n", brushFor(w).colour(as, fmt.Sprintf("%-8s", word)), r.Destination, r.Took.Milliseconds(), said)
	return err
}

// closeAlerts gives what waits to be told a little time.
func closeAlerts(a *alert.Alerts) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	a.Close(ctx)
}
