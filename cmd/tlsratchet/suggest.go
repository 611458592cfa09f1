package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// nearest returns the name that somebody may have meant, or "".
func nearest(meant string, names []string) (best string) {
	least := 3 // letters that differ, at most one fewer
	for _, name := range names {
		if n := smetrics.WagnerFischer(meant, name, 1, 1, 1); n < least && n < len(name) {
			best, least = name, n
		}
	}
	return best
}

// unknownCommand is the error of a command that there isn't.
func unknownCommand(c *cli.Context, name string) error {
	var names []string
	for _, command := range c.App.VisibleCommands() {
		names = append(names, command.Name)
	}
	if best := nearest(name, names); best != "" {
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
	flags := c.App.VisibleFlags()
	if c.Command != nil && c.Command.Name != "" {
		flags = c.Command.VisibleFlags()
	}
	for _, f := range flags {
		names = append(names, f.Names()...)
	}
	if best := nearest(strings.TrimLeft(name, "-"), names); best != "" {
		return fmt.Errorf("unknown flag %s: did you mean --%s?", dashed(name), best)
	}
	return fmt.Errorf("unknown flag %s: try --help", dashed(name))
}

func dashed(name string) string { return "--" + strings.TrimLeft(name, "-") }
