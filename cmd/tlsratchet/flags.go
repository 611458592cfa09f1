package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/config"
)

// configFlags are those that serve and check share: what is checked is what
// would be served.
func configFlags() []cli.Flag {
	return []cli.Flag{
		configFlag("read the configuration from `FILE`"),
		&cli.StringSliceFlag{Name: "listen", Usage: "listen `WHERE`: unix:/path, inet:host:port or systemd; repeatable"},
		&cli.StringFlag{Name: "history", Usage: "keep the memory in `FILE`; the word memory keeps it in RAM alone"},
		&cli.StringFlag{Name: "action", Usage: "`ACTION` for stripped mail: observe, header, quarantine, tempfail or reject"},
		&cli.IntFlag{Name: "pin-after-days", DefaultText: "5", Usage: "pin a level once seen on `N` days (1 is trust on first use)"},
	}
}

// noConfig is the --config that reads no file at all.
const noConfig = "none"

func configFlag(usage string) cli.Flag {
	return &cli.StringFlag{
		Name: "config", EnvVars: []string{"TLSRATCHET_CONFIG"},
		Usage:       usage + "; " + noConfig + " for the defaults alone",
		DefaultText: config.DefaultFile + " where it exists",
	}
}

// configFile returns the file to read: the one that is named, or the usual one
// where it exists; "" for none.
func configFile(named, usual string) string {
	switch named {
	case noConfig:
		return ""
	case "":
		if _, err := os.Stat(usual); errors.Is(err, fs.ErrNotExist) {
			return ""
		}
		return usual
	}
	return named
}

// loadConfig reads the configuration that the command line asks for.
func loadConfig(c *cli.Context) (*config.Config, error) {
	flags := config.Flags{}
	if listen := c.StringSlice("listen"); listen != nil {
		flags["listen"] = strings.Join(listen, ",")
	}
	names := []string{"history", "action", "pin-after-days"}
	for _, f := range otherPolicyFlags {
		names = append(names, f.name)
	}
	for _, name := range names {
		if c.IsSet(name) {
			flags[name] = fmt.Sprint(c.Value(name))
		}
	}
	file := configFile(c.String("config"), config.DefaultFile)
	cfg, err := config.Load(file, os.LookupEnv, flags)
	if err != nil {
		return nil, usageError{whoMay(err)}
	}
	return cfg, nil
}
