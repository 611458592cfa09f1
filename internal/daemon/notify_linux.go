package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"tlsratchet/internal/loop"
)

// notifier reports our state to the service manager (sd_notify(3)). Without one it
// does nothing.
type notifier struct{ log *slog.Logger }

func (n notifier) send(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		n.log.Warn("could not notify the service manager", "state", state, "error", err)
	}
}

func (n notifier) ready() { n.send(sd.SdNotifyReady) }

// stopping asks for as much time as the stop may take, which the unit need not know.
func (n notifier) stopping(within time.Duration) {
	n.send(fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d", sd.SdNotifyStopping, within.Microseconds()))
}

// reloading must carry the monotonic time for Type=notify-reload.
func (n notifier) reloading() { n.send(sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec()) }

// watchdog feeds the service manager's watchdog, if there is one, for as long
// as alive answers, until ctx ends.
func (n notifier) watchdog(ctx context.Context, alive func() error) {
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	loop.Every(ctx, interval/2, nil, func() {
		if err := alive(); err != nil {
			n.log.Error("health check failed; watchdog not notified", "error", err)
			return
		}
		n.send(sd.SdNotifyWatchdog)
	})
}
