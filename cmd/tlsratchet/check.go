package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/config"
	"tlsratchet/internal/daemon"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "check the configuration and the files that it names, and print the effective one",
		Flags: configFlags(),
		Action: func(c *cli.Context) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			warnings, err := daemon.Verify(c.Context, cfg)
			warnings = append(cfg.Warnings(), warnings...)
			if err != nil {
				return usageError{err}
			}
			warnings = append(warnings, daemon.Unreadable(cfg, configFile(c.String("config"), config.DefaultFile))...)
			for _, w := range warnings {
				fmt.Fprintln(c.App.ErrWriter, "tlsratchet: warning:", w)
			}
			return cfg.Write(c.App.Writer)
		},
	}
}
