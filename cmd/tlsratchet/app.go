package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/daemon"
	"tlsratchet/internal/doctor"
	"tlsratchet/tlsstate/store"
)

// The exit codes.
const (
	exitFailure = 1
	exitUsage   = 2 // usage or config, such as a history that another process has
)

// usageError is what the operator got wrong.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run runs one command line and returns its exit code. Errors go to stderr, a
// line each.
func run(args []string, stdout, stderr io.Writer) int {
	out := &output{Writer: stdout, colours: colours(stdout)}
	err := newApp(out, stderr).Run(args)
	if !errors.Is(err, out.err) {
		err = errors.Join(err, out.err)
	}
	if err == nil {
		return 0
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		fmt.Fprintln(stderr, "tlsratchet:", strings.Map(printable, line))
	}
	if errors.As(err, new(usageError)) || errors.As(err, new(daemon.ConfigError)) || errors.Is(err, admin.ErrBadRequest) ||
		errors.Is(err, store.ErrLocked) || errors.Is(err, store.ErrNewerVersion) {
		return exitUsage
	}
	return exitFailure
}

// output is standard output. It keeps the first error, so that a command need not
// look at what each line came to.
type output struct {
	io.Writer
	colours bool
	err     error
}

// Write implements [io.Writer].
func (o *output) Write(p []byte) (n int, err error) {
	if o.err == nil {
		n, o.err = o.Writer.Write(p)
	}
	return n, o.err
}

// spool has writing wait for no reader until end is called, which waits for all.
func (o *output) spool() (end func()) {
	s := newSpool(o.Writer)
	o.Writer = s
	return func() { o.Writer, o.err = s.to, cmp.Or(o.err, s.end()) }
}

// printable replaces what a terminal acts on: the name of a file may hold anything.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return '?'
	}
	return r
}

func newApp(stdout, stderr io.Writer) *cli.App {
	usage := func(c *cli.Context, err error, _ bool) error { return usageError{flagError(c, err)} }
	app := &cli.App{
		Name:      "tlsratchet",
		Usage:     "notice when a mail peer that always used TLS comes without it, and act",
		UsageText: "tlsratchet COMMAND [flags]\n\nIn Postfix's main.cf:\n   smtpd_milters = " + doctor.Entry("unix:tlsratchet/tlsratchet.sock"),
		Description: "peers, peer, explain, report, incidents, export, import and replay --apply ask the daemon on its socket, or\n" +
			"work on the history file when no daemon runs. breaker, outbound, explain --to and report --outbound\n" +
			"need the daemon. Flags come before arguments.\n\nExit codes: 0 done, 1 a failure, 2 usage or configuration.",
		Version:   version(),
		Writer:    stdout,
		ErrWriter: stderr,
		Commands: []*cli.Command{
			serveCommand(), checkCommand(),
			peersCommand(), peerCommand(), explainCommand(), replayCommand(), doctorCommand(), reportCommand(),
			incidentsCommand(), breakerCommand(), outboundCommand(), alertCommand(),
			exportCommand(), importCommand(),
			{Name: "version", Usage: "print the version", Action: printVersion},
			generateCommand(), helpCommand(),
		},
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "version", Aliases: []string{"v"}, DisableDefaultText: true, Usage: "print the version"},
			cli.HelpFlag, // left out where a command is called help
		},
		HideHelpCommand: true,
		HideVersion:     true,

		EnableBashCompletion: true,
		ExitErrHandler:       func(*cli.Context, error) {}, // run decides
		OnUsageError:         usage,
		Action: func(c *cli.Context) error {
			switch {
			case c.NArg() > 0:
				return unknownCommand(c, c.Args().First())
			case c.Bool("version"):
				return printVersion(c)
			}
			return cli.ShowAppHelp(c)
		},
	}
	settle(app.Commands, usage)
	return app
}

// helpCommand shows the help of the commands that its arguments name.
func helpCommand() *cli.Command {
	return &cli.Command{
		Name: "help", Usage: "show the help of a command", ArgsUsage: "[COMMAND]",
		Action: func(c *cli.Context) error {
			return c.App.Run(append(append([]string{c.App.Name}, c.Args().Slice()...), "--help"))
		},
	}
}

// settle has all commands, and those below them, treat wrong flags and arguments
// alike. One without ArgsUsage takes none.
func settle(commands []*cli.Command, usage cli.OnUsageErrorFunc) {
	for _, c := range commands {
		c.OnUsageError = usage
		c.HideHelpCommand = true
		action, takes := c.Action, c.ArgsUsage != "" || len(c.Subcommands) > 0
		c.Action = func(c *cli.Context) error {
			if err := flagsInPlace(c); err != nil {
				return err
			}
			if c.NArg() > 0 && !takes {
				return usagef("%s takes no arguments, and there is %q", c.Command.Name, c.Args().First())
			}
			if c.Int("limit") < 0 {
				return usagef("--limit: want a whole number from 0 on")
			}
			return action(c)
		}
		settle(c.Subcommands, usage)
	}
}
