package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/config"
)

// unknownCommand is the error of a command that there isn't.
func unknownCommand(c *cli.Context, name string) error {
	var names []string
	for _, command := range c.App.VisibleCommands() {
		names = append(names, command.Name)
	}
	if best := config.Nearest(name, names); best != "" {
		return usagef("unknown command %q: did you mean %s?", name, best)
	}
	return usagef("unknown command %q: try tlsratchet --help", name)
}

// needs is the action of a command that only its subcommands do anything for.
func needs(which string) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() > 0 {
			return usagef("unknown command %s %q: use %s", c.Command.Name, c.Args().First(), which)
		}
		return usagef("%s needs %s", c.Command.Name, which)
	}
}

// flagError adds what may have been meant to the error of a flag.
func flagError(c *cli.Context, err error) error {
	name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !ok {
		return errors.New(strings.Replace(err.Error(), " flag -", " flag --", 1))
	}
	var names []string
	for _, f := range c.Command.VisibleFlags() {
		names = append(names, f.Names()...)
	}
	if best := config.Nearest(strings.TrimLeft(name, "-"), names); best != "" {
		return fmt.Errorf("unknown flag %s: did you mean --%s?", dashed(name), best)
	}
	if c.Command.Name == c.App.Name {
		return fmt.Errorf("flags go after the command: move %s behind it", dashed(name))
	}
	return fmt.Errorf("unknown flag %s: try --help", dashed(name))
}

func dashed(name string) string { return "--" + strings.TrimLeft(name, "-") }
