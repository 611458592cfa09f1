package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"time"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
	"tlsratchet/internal/daemon"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// operatorFlags are those of the commands that work on the memory.
func operatorFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		configFlag("find daemon and memory by the configuration in `FILE`"),
		&cli.StringFlag{Name: "history", Usage: "work on the memory in `FILE`"},
		&cli.BoolFlag{Name: "json", DisableDefaultText: true, Usage: "print JSON, lists one object a line"},
	}, more...)
}

// operation runs fn with the daemon's operations, or those on the file if no
// daemon runs.
func operation(fn func(c *cli.Context, a admin.Admin) error, stderr io.Writer) cli.ActionFunc {
	return operationOn(connect, fn, stderr)
}

// operationOn runs fn with what open returns.
func operationOn(open func(*cli.Context, io.Writer) (admin.Admin, error), fn func(c *cli.Context, a admin.Admin) error, stderr io.Writer) cli.ActionFunc {
	return func(c *cli.Context) (err error) {
		if err := flagsFirst(c); err != nil {
			return err
		}
		a, err := open(c, stderr)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		err = fn(c, a)
		if errors.Is(err, admin.ErrBadRequest) {
			err = usageError{err}
		}
		return err
	}
}

// connect returns the operations on a memory that is there: a command that
// looks at it makes none.
func connect(c *cli.Context, stderr io.Writer) (admin.Admin, error) {
	return connectTo(c, stderr, func(cfg *config.Config) error {
		switch info, err := os.Stat(cfg.History); {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("no daemon answers, and there is no history at %s: name it by --history or --config", cfg.History)
		case err == nil && info.Size() == 0:
			return fmt.Errorf("no daemon answers, and %s is empty: it is not a history; name another by --history or --config", cfg.History)
		}
		return nil
	})
}

// connectOrStart is connect for a command that brings something: it starts a
// memory where there is none.
func connectOrStart(c *cli.Context, stderr io.Writer) (admin.Admin, error) {
	return connectTo(c, stderr, daemon.MakeHistory)
}

func connectTo(c *cli.Context, stderr io.Writer, prepare func(*config.Config) error) (admin.Admin, error) {
	cfg, err := loadConfig(c)
	if err != nil {
		return nil, err
	}
	if socket := cfg.AdminSocket(); socket != "" {
		client, err := admin.Dial(c.Context, socket)
		if err == nil {
			return client, nil
		}
		if !errors.Is(err, admin.ErrNoDaemon) {
			return nil, err
		}
	}
	if cfg.InMemory() {
		return nil, errors.New("no daemon answers, and the history is kept in memory alone: set admin.socket in its configuration")
	}
	if err := prepare(cfg); err != nil {
		return nil, err
	}
	return openFile(cfg, stderr)
}

// openFile works on the history's file.
func openFile(cfg *config.Config, stderr io.Writer) (admin.Admin, error) {
	level := &slog.LevelVar{}
	log := daemon.NewLogger(stderr, cfg, level)
	file, err := store.Open(cfg.History, store.Options{Logger: log})
	if errors.Is(err, store.ErrLocked) {
		return nil, fmt.Errorf("a daemon has %s, but doesn't answer on its socket for commands: give the configuration that it runs with: %w", cfg.History, err)
	}
	if errors.Is(err, fs.ErrPermission) {
		err = admin.Denied(cfg.History)
	}
	if err != nil {
		return nil, fmt.Errorf("open the history: %w", err)
	}
	rules := cfg.Rules()
	book := daemon.OpenIncidents(cfg, nil, log)
	close := func() error { return errors.Join(book.Close(), file.Close()) }
	return admin.NewLocal(file, func() *tlsstate.Rules { return rules }, time.Now, log, close).WithBook(book), nil
}

// flagsFirst refuses an argument that looks like a flag: after an argument it
// would be taken for one more, silently.
func flagsFirst(c *cli.Context) error {
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
