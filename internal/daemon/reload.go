package daemon

import (
	"context"
	"os"

	"tlsratchet/internal/config"
)

// ReloadOn calls reload for each signal until ctx ends. What is wrong with the
// new configuration is logged, and the previous one stays in use.
func (d *Daemon) ReloadOn(ctx context.Context, hangup <-chan os.Signal, reload func() error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if d.serving.Err() != nil {
				return
			}
			d.notify.reloading()
			if err := reload(); err != nil {
				d.log.Error("configuration not reloaded; the previous one stays in use", "error", err)
			}
			if d.serving.Err() == nil {
				d.notify.ready()
			}
		}
	}
}

// Reload swaps what can be swapped while serving.
func (d *Daemon) Reload(next *config.Config) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.serving.Err() != nil {
		return
	}
	d.config.Store(next)
	d.ratchet.SetRules(next.Rules())
	d.milter.SetOptions(next.Options)
	if d.policy != nil {
		d.policy.SetOptions(next.Options)
	}
	d.level.Set(next.Log.Level)
	d.watch.reload(next)
	d.restoreSockets()
	d.sending.reload(d.serving, next)
	d.warn(next)
	d.log.Info("configuration reloaded", "stripped", next.Policy.Stripped.String(), "peers", len(next.Peers))
	if fixed := next.NeedRestart(d.atStart); len(fixed) > 0 {
		d.log.Warn("these settings differ from what runs and need a restart", "settings", fixed)
	}
}
