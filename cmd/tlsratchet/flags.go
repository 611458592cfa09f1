package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
)

// configFlags are those that serve and check share: what is checked is what
// would be served.
func configFlags() []cli.Flag {
	return append([]cli.Flag{
		configFlag("read the configuration from `FILE`"),
		&cli.StringSliceFlag{Name: "listen", Usage: "listen `WHERE`: unix:/path, inet:host:port or systemd; repeatable"},
		&cli.StringFlag{Name: "history", Usage: "keep the memory in `FILE`; the word memory keeps it in RAM alone"},
	}, policyFlags()[:2]...)
}

// policy are the keys of the policy that flags override: the first two those of
// serve and check, and all of them those that replay tries a policy with.
var policy = []struct{ name, usage string }{
	{"action", "`ACTION` for stripped mail: observe, header, quarantine, tempfail or reject"},
	{"pin-after-days", "pin a level once seen on `N` days (1 is trust on first use)"},
	{"weakened", "`ACTION` for a lower level of TLS"},
	{"unauthenticated", "`ACTION` for a client certificate that is gone"},
	{"pin-max-age-days", "a pin that was not met for `N` days lapses"},
	{"release-after-days", "on the `N`th day below its pin a peer is let through"},
	{"relax-after-days", "`N` days of 64 below a pin mean a peer that is only partly encrypted"},
	{"pin-up-to", "the highest `LEVEL` that is pinned"},
	{"domain-enforce", "`WHEN` pins of domains are enforced: broad, always or never"},
}

func policyFlags() (all []cli.Flag) {
	for _, f := range policy {
		all = append(all, &cli.StringFlag{Name: f.name, Usage: f.usage})
	}
	return all
}

// noConfig is the --config that reads no file at all.
const noConfig = "none"

// configVariable is the variable that names what --config does.
const configVariable = "TLSRATCHET_CONFIG"

func configFlag(usage string) cli.Flag {
	return &cli.StringFlag{
		Name: "config", EnvVars: []string{configVariable},
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
	for _, name := range c.LocalFlagNames() {
		flags[name] = c.String(name)
	}
	if listen := c.StringSlice("listen"); listen != nil {
		flags["listen"] = strings.Join(listen, ",")
	}
	file := configFile(c.String("config"), config.DefaultFile)
	cfg, err := config.Load(file, os.LookupEnv, flags)
	if err != nil {
		return nil, usageError{admin.WhoMay(err)}
	}
	cfg.CheckVariables(os.Environ(), configVariable)
	return cfg, nil
}
