package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/shell"
)

// generateCommand makes what the build installs beside the program.
func generateCommand() *cli.Command {
	return &cli.Command{
		Name: "generate", Hidden: true, Usage: "print what the build installs beside the program", ArgsUsage: "man|bash|zsh|fish",
		Action: func(c *cli.Context) error {
			text, err := shell.Generate(c.App, strings.Join(c.Args().Slice(), " "))
			if errors.Is(err, shell.ErrUnknown) {
				err = usageError{err}
			}
			fmt.Fprint(c.App.Writer, text)
			return err
		},
	}
}
