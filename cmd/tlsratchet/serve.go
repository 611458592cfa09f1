package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/daemon"
)

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "run the daemon that Postfix asks",
		Description: "Listens for Postfix and runs until SIGTERM. SIGHUP reads the configuration again.\n" +
			"Everything is logged to stderr.",
		Flags: append(configFlags(),
			&cli.BoolFlag{Name: "confirm-clock", DisableDefaultText: true, Usage: "believe the clock though it is far ahead of the newest record"}),
		Action: serve,
	}
}

// serve runs the daemon until a signal or a failure ends it.
func serve(c *cli.Context) error {
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	signal.Ignore(syscall.SIGPIPE) // who reads our log may go: mail goes on

	daemon.TuneCollector(cfg)
	d, err := daemon.New(cfg, version(), c.App.ErrWriter)
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w (serve runs as %s)", err, ourselves())
	}
	if err != nil {
		return err
	}
	if c.Bool("confirm-clock") {
		d.ConfirmClock()
	}
	go d.TuneProcessors(ctx)
	go d.ReloadOn(ctx, hangup, func() error {
		next, err := loadConfig(c)
		if err != nil {
			return err
		}
		d.Reload(next)
		return nil
	})
	return d.Run(context.WithoutCancel(ctx), ctx.Done())
}
