package daemon

import (
	"context"
	"log/slog"
	"os"
	"time"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/config"
)

// Destinations makes those of the configuration whose secrets, variables and
// templates can be read. The error, a [ConfigError], is about the others.
func Destinations(cfg *config.Config, log *slog.Logger) ([]*alert.Destination, error) {
	return destinations(cfg, os.LookupEnv, log)
}

func destinations(cfg *config.Config, getenv func(string) (string, bool), log *slog.Logger) ([]*alert.Destination, error) {
	var all []alert.Settings
	if cfg.Alert.Log != config.Off {
		all = append(all, alert.Settings{Kind: alert.KindLog, Least: cfg.Alert.Log})
	}
	for _, d := range cfg.Destinations {
		all = append(all, alert.Settings(d))
	}
	made, err := alert.NewDestinations(all, alert.Environment{Host: Hostname(), Getenv: getenv, Log: log})
	if err != nil {
		err = ConfigError{err}
	}
	return made, err
}

// Hostname returns the name of this host, for alerts.
func Hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// closeAlerts gives alerts that wait a little time.
func closeAlerts(a *alert.Alerts) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	a.Close(ctx)
}
