//go:build !linux

package daemon

import (
	"context"
	"log/slog"
	"time"
)

// notifier does nothing: systemd is a part of Linux.
type notifier struct{ log *slog.Logger }

func (notifier) ready()                                 {}
func (notifier) stopping(time.Duration)                 {}
func (notifier) reloading()                             {}
func (notifier) watchdog(context.Context, func() error) {}
