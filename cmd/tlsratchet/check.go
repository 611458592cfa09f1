package main

import (
	"io"

	"github.com/urfave/cli/v2"
)

func checkCommand(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "validate the configuration and print the effective one",
		Flags: configFlags(),
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			return cfg.Write(stdout)
		},
	}
}
