package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
	"tlsratchet/internal/daemon"
	"tlsratchet/internal/doctor"
)

// errUnwell is the command's error when a finding is broken.
var errUnwell = errors.New("something is broken")

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "check this host and its Postfix, and print what to change",
		Flags: operatorFlags(&cli.StringFlag{Name: "postfix", Usage: "Postfix's configuration `DIRECTORY`, if not the default one"}),
		Action: func(c *cli.Context) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			p, err := doctor.ReadPostfix(c.Context, c.String("postfix"))
			if errors.Is(err, exec.ErrNotFound) {
				err = errors.New("postconf is not in the PATH: run doctor on the host of Postfix, as root")
			}
			if err != nil {
				return err
			}
			o := daemon.DoctorOptions(cfg)
			unread := readMemory(c, cfg, &o)
			return printFindings(c, append(doctor.Check(c.Context, p, o), unread...))
		},
	}
}

// readMemory asks the daemon, or the file, for what doctor needs. The finding
// says why it could not.
func readMemory(c *cli.Context, cfg *config.Config, o *doctor.Options) []doctor.Finding {
	err := askMemory(c, cfg, o)
	if _, missing := os.Stat(o.History); err == nil || errors.Is(missing, fs.ErrNotExist) && o.History != "" {
		return nil // doctor reports that itself
	}
	f := doctor.Finding{Severity: doctor.Note, Check: "memory", Text: "not checked: " + err.Error()}
	if errors.Is(err, fs.ErrPermission) {
		f.Fix = "sudo tlsratchet doctor"
	}
	return []doctor.Finding{f}
}

func askMemory(c *cli.Context, cfg *config.Config, o *doctor.Options) error {
	a, err := connect(c, cfg, daemon.MustExist)
	if err != nil {
		return err
	}
	defer a.Close()
	s, err := a.Summary(c.Context)
	if err != nil {
		return err
	}
	o.Running = len(s.Listeners) > 0
	o.Newest, o.Trouble, o.Tally = s.Newest, s.Trouble, s.Tally
	o.Sending.Overview, _ = a.Outbound(c.Context, admin.Override{}) // none without a daemon, or switched off
	return nil
}

var severityPaint = map[doctor.Severity]paint{doctor.Fine: green, doctor.Note: yellow, doctor.Broken: red}

func printFindings(c *cli.Context, all []doctor.Finding) (unwell error) {
	for _, f := range all {
		if f.Severity == doctor.Broken {
			unwell = errUnwell
		}
		show(c, f, func(w io.Writer) {
			severity := colour(w, severityPaint[f.Severity], fmt.Sprintf("%-7s", f.Severity))
			fmt.Fprintf(w, "%s %-11s %s\n", severity, f.Check, f.Text)
			if f.Fix != "" {
				fmt.Fprintf(w, "%-7s %-11s   %s\n", "", "", f.Fix)
			}
		})
	}
	return unwell
}
