package daemon

import (
	"context"
	"os"
	"reflect"

	"tlsratchet/internal/config"
	"tlsratchet/internal/policyservice"
)

// ReloadOn calls reload for each signal until ctx ends. What is wrong with the
// new configuration is logged, and the previous one stays in use.
func (d *Daemon) ReloadOn(ctx context.Context, hangup <-chan os.Signal, reload func() error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			d.notify.reloading()
			if err := reload(); err != nil {
				d.log.Error("configuration not reloaded; the previous one stays in use", "error", err)
			}
			d.notify.ready()
		}
	}
}

// Reload swaps what can be swapped while serving.
func (d *Daemon) Reload(next *config.Config) {
	d.config.Store(next)
	d.ratchet.SetRules(next.Rules())
	d.milter.SetOptions(milterOptions(next))
	if d.policy != nil {
		d.policy.SetOptions(policyservice.Options(milterOptions(next)))
	}
	d.level.Set(next.Log.Level)
	d.watch.reload(next)
	d.restoreSockets()
	d.sending.reload(next)
	d.warn(next)
	d.log.Info("configuration reloaded", "stripped", next.Policy.Stripped.String(), "peers", len(next.Peers))
	if fixed := needsRestart(d.atStart, next); len(fixed) > 0 {
		d.log.Warn("these settings differ from what runs and need a restart", "settings", fixed)
	}
}

// needsRestart lists the settings of next that do not run until a restart.
func needsRestart(running, next *config.Config) (changed []string) {
	for _, s := range []struct {
		name          string
		running, next any
	}{
		{"listen", running.Listen, next.Listen},
		{"history", running.History, next.History},
		{"shared", running.Shared, next.Shared},
		{"socket", running.Socket, next.Socket},
		{"limits", running.Limits, next.Limits},
		{"admin", running.Admin, next.Admin},
		{"selfcheck", running.Selfcheck, next.Selfcheck},
		{"status", running.Status, next.Status},
		{"spf", running.SPF, next.SPF},
		{"breaker", running.Breaker, next.Breaker},
		{"policy_service", running.PolicyService, next.PolicyService},
		{"outbound.listen", running.Outbound.Listen, next.Outbound.Listen},
		{"outbound.log", running.Outbound.Log, next.Outbound.Log},
		{"log.format", running.Log.Format, next.Log.Format},
	} {
		if !reflect.DeepEqual(s.running, s.next) {
			changed = append(changed, s.name)
		}
	}
	return changed
}
