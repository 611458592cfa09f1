package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/clean"
	"tlsratchet/internal/config"
	"tlsratchet/internal/doctor"
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
				return unread(err)
			}
			o := doctorOptions(cfg)
			unseen := lookInside(c, &o, stderr)
			return tellFindings(append(doctor.Check(c.Context, p, o), unseen...), stdout, c.Bool("json"))
		},
	}
}

// lookInside asks the memory what doctor wants to know of it, or says why it
// could not. That there is none yet, doctor sees by itself.
func lookInside(c *cli.Context, o *doctor.Options, stderr io.Writer) []doctor.Finding {
	if _, err := os.Stat(o.History); errors.Is(err, fs.ErrNotExist) && o.History != "" {
		return nil
	}
	a, err := connect(c, stderr)
	if err == nil {
		defer a.Close()
		var s admin.Summary
		s, err = a.Summary(c.Context)
		o.Newest = s.Newest
	}
	if err == nil {
		return nil
	}
	f := doctor.Finding{Severity: doctor.Note, Check: "memory", Text: "was not looked at: " + err.Error()}
	if errors.Is(err, fs.ErrPermission) {
		f.Fix = "sudo tlsratchet doctor"
	}
	return []doctor.Finding{f}
}

// unread says why Postfix's configuration could not be read, as postconf does.
func unread(err error) error {
	failed := new(exec.ExitError)
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("there is no postconf in the PATH: doctor runs on the host of Postfix, as root")
	}
	if errors.As(err, &failed) && len(failed.Stderr) > 0 {
		return errors.New(clean.Text(strings.TrimSpace(string(failed.Stderr)), 500))
	}
	return err
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

var severityPaint = map[doctor.Severity]paint{doctor.Fine: green, doctor.Note: yellow, doctor.Broken: red}

func tellFindings(all []doctor.Finding, w io.Writer, asJSON bool) error {
	unwell, b := false, brushFor(w)
	out := json.NewEncoder(w)
	for _, f := range all {
		unwell = unwell || f.Severity == doctor.Broken
		if asJSON {
			if err := out.Encode(f); err != nil {
				return err
			}
			continue
		}
		severity := b.colour(severityPaint[f.Severity], fmt.Sprintf("%-7s", f.Severity))
		fmt.Fprintf(w, "%s %-11s %s\n", severity, f.Check, f.Text)
		if f.Fix != "" {
			fmt.Fprintf(w, "%-7s %-11s   %s\n", "", "", f.Fix)
		}
	}
	if unwell {
		return errUnwell
	}
	return nil
}
