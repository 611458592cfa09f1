package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/shell"
)

// generateCommand makes what the build installs beside the program.
func generateCommand() *cli.Command {
	return &cli.Command{
		Name: "generate", Hidden: true, Usage: "print what the build installs beside the program", ArgsUsage: "man|bash|zsh|fish",
		Action: func(c *cli.Context) error {
			what, err := argument(c, "WHAT")
			if err != nil {
				return fmt.Errorf("%w: man, bash, zsh or fish", err)
			}
			text, err := shell.Generate(c.App, what)
			if errors.Is(err, shell.ErrUnknown) {
				return usageError{err}
			}
			if err != nil {
				return err
			}
			fmt.Fprint(c.App.Writer, text)
			return nil
		},
	}
}
