package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
)

// configFlags are those that serve and check share: what is checked is what
// would be served.
func configFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "read the configuration from `FILE` (without it: the defaults)", EnvVars: []string{"TLSRATCHET_CONFIG"}},
		&cli.StringSliceFlag{Name: "listen", Usage: "listen `WHERE`: unix:/path, inet:host:port or systemd; repeatable"},
		&cli.StringFlag{Name: "history", Usage: "keep the memory in `FILE`; the word memory keeps it in RAM alone"},
		&cli.StringFlag{Name: "action", Usage: "`ACTION` for stripped mail: observe, header, quarantine, tempfail or reject"},
		&cli.IntFlag{Name: "pin-after-days", DefaultText: "5", Usage: "pin a level once seen on `N` days (1 is trust on first use)"},
	}
}

// loadConfig reads the configuration that the command line asks for.
func loadConfig(c *cli.Context) (*config.Config, error) {
	flags := config.Overrides{Listen: c.StringSlice("listen")}
	for name, to := range map[string]**string{"history": &flags.History, "action": &flags.Action} {
		if c.IsSet(name) {
			value := c.String(name)
			*to = &value
		}
	}
	if c.IsSet("pin-after-days") {
		n := c.Int("pin-after-days")
		flags.PinAfterDays = &n
	}
	for _, k := range otherPolicyKeys {
		if c.IsSet(k.flag) {
			if flags.Policy == nil {
				flags.Policy = make(map[string]string)
			}
			flags.Policy[k.key] = c.String(k.flag)
		}
	}
	cfg, err := config.Load(c.String("config"), os.LookupEnv, flags)
	if file := c.String("config"); file != "" && errors.Is(err, fs.ErrPermission) {
		return nil, usageError{admin.Denied(file)}
	}
	if err != nil {
		return nil, usageError{err}
	}
	return cfg, nil
}
