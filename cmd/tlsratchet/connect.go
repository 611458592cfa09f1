package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
	"tlsratchet/internal/daemon"
)

// operatorFlags are those of the commands that work on the memory.
func operatorFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		configFlag("find daemon and memory by the configuration in `FILE`"),
		&cli.StringFlag{Name: "history", Usage: "work on the memory in `FILE`"},
		&cli.BoolFlag{Name: "json", DisableDefaultText: true, Usage: "print JSON, lists one object a line"},
	}, more...)
}

// job is what a command does once its command line is known to be right.
type job func(*admin.Admin) error

// operation runs the job with the daemon's operations, or those on the file if no
// daemon runs: a command that looks at a memory makes none. prepare finds what is
// wrong with the command line before anything is opened.
func operation(prepare func(*cli.Context) (job, error)) cli.ActionFunc {
	return operationOn(daemon.MustExist, prepare)
}

// operationOn is operation where no daemon runs if absent allows that.
func operationOn(absent func(*config.Config) error, prepare func(*cli.Context) (job, error)) cli.ActionFunc {
	return func(c *cli.Context) error {
		do, err := prepare(c)
		if err != nil {
			return err
		}
		cfg, err := loadConfig(c)
		if err != nil {
			return err
		}
		a, err := connect(c, cfg, absent)
		if err != nil {
			return err
		}
		if a.Alone {
			defer c.App.Writer.(*output).spool()()
		}
		return errors.Join(do(a), a.Close())
	}
}

// connect returns the operations. A daemon that answers may have another memory than
// the one that --history names: that is worked on as a file.
func connect(c *cli.Context, cfg *config.Config, absent func(*config.Config) error) (*admin.Admin, error) {
	a, err := daemon.Operate(c.Context, cfg, c.App.ErrWriter, absent)
	if err != nil || !c.IsSet("history") {
		return a, err
	}
	s, err := a.Summary(c.Context)
	here, _ := os.Stat(cfg.History)
	daemons, _ := os.Stat(s.History)
	if err != nil || s.History == "" || s.History == cfg.History || here != nil && daemons != nil && os.SameFile(here, daemons) {
		return a, err
	}
	a.Close()
	cfg.Admin.Socket = config.Off
	return daemon.Operate(c.Context, cfg, c.App.ErrWriter, absent)
}

// answer is the job of asking for a value and showing it.
func answer[V any](c *cli.Context, ask func(*admin.Admin) (V, error), text func(V, io.Writer)) job {
	return func(a *admin.Admin) error {
		v, err := ask(a)
		if err != nil {
			return err
		}
		show(c, v, func(w io.Writer) { text(v, w) })
		return nil
	}
}

// show prints a value as JSON, or as text does. What can't be written is an error of
// [output].
func show(c *cli.Context, v any, text func(io.Writer)) {
	if c.Bool("json") {
		json.NewEncoder(c.App.Writer).Encode(v)
		return
	}
	text(c.App.Writer)
}

// flagsInPlace refuses an argument that looks like a flag: after an argument it
// would be taken for one more, silently. So would a flag before a subcommand; the
// variable of --config sets it there, too.
func flagsInPlace(c *cli.Context) error {
	if c.Bool("version") {
		return usagef("--version takes no command")
	}
	for _, above := range c.Lineage()[1:] {
		for _, name := range above.LocalFlagNames() {
			if name != "config" || above.String(name) != os.Getenv(configVariable) {
				return usagef("flags go after the command: move --%s behind %s", name, c.Command.Name)
			}
		}
	}
	for _, a := range c.Args().Slice() {
		if len(a) > 1 && a[0] == '-' {
			return usagef("flags go before arguments: move %q before %q", a, c.Args().First())
		}
	}
	return nil
}

// argument returns the one argument of a command.
func argument(c *cli.Context, what string) (string, error) {
	if c.NArg() != 1 {
		return "", usagef("%s takes one %s, and there are %d", c.Command.Name, what, c.NArg())
	}
	return c.Args().First(), nil
}

// ourselves returns as whom the process runs.
func ourselves() string {
	u, err := user.Current()
	if err != nil {
		return fmt.Sprintf("the user %d", os.Getuid())
	}
	if g, err := user.LookupGroupId(u.Gid); err == nil {
		return fmt.Sprintf("the user %s, group %s", u.Username, g.Name)
	}
	return "the user " + u.Username
}

// operatorName returns who runs a command, for the audit line.
func operatorName() string {
	if name := os.Getenv("SUDO_USER"); name != "" && os.Getuid() == 0 {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprint(os.Getuid())
}
