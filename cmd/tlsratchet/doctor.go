package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"tlsratchet/config"
	"tlsratchet/doctor"
)

// errUnwell ends the command when something is broken; what is, was printed.
var errUnwell = errors.New("something is broken")

func doctorCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "look at this host and its Postfix, and say what to change",
		Flags: operatorFlags(&cli.StringFlag{Name: "postfix", Usage: "Postfix's configuration `DIRECTORY`, if not the default one"}),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			p, err := doctor.ReadPostfix(c.Context, c.String("postfix"))
			if err != nil {
				return err
			}
			o := doctorOptions(cfg)
			if a, err := connect(c, stderr); err == nil {
				if s, err := a.Summary(c.Context); err == nil {
					o.Newest = s.Newest
				}
				a.Close()
			}
			return tellFindings(doctor.Check(c.Context, p, o), stdout, c.Bool("json"))
		},
	}
}

func doctorOptions(cfg *config.Config) doctor.Options {
	o := doctor.Options{Now: time.Now(), Shared: cfg.Shared.URL != ""}
	for _, l := range cfg.Listen {
		switch l.Network {
		case config.Unix:
			o.Sockets = append(o.Sockets, l.Address)
		case config.TCP:
			o.Sockets = append(o.Sockets, l.String())
		case config.Systemd: // contrib/systemd/tlsratchet.socket opens it there
			o.Sockets = append(o.Sockets, config.DefaultSocket)
		}
	}
	if !cfg.InMemory() {
		o.History = cfg.History
	}
	if cfg.Selfcheck.Address != config.Off {
		o.MX = cfg.Selfcheck.Address
	}
	return o
}

func tellFindings(all []doctor.Finding, w io.Writer, asJSON bool) error {
	unwell := false
	out := json.NewEncoder(w)
	for _, f := range all {
		unwell = unwell || f.Severity == doctor.Broken
		if asJSON {
			if err := out.Encode(f); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(w, "%-7s %-11s %s\n", f.Severity, f.Check, f.Text)
		if f.Fix != "" {
			fmt.Fprintf(w, "%-7s %-11s   %s\n", "", "", f.Fix)
		}
	}
	if unwell {
		return errUnwell
	}
	return nil
}
