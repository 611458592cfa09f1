package daemon

import (
	"context"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tlsratchet/internal/config"
)

// socketUnit opens the sockets that systemd passes to serviceUnit.
const socketUnit, serviceUnit = "tlsratchet.socket", "tlsratchet.service"

// unit returns properties of a unit of systemd. The error is that it can't be asked.
func unit(name string, properties ...string) (url.Values, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, "systemctl", "show", name, "--property="+strings.Join(properties, ","))
	command.WaitDelay = time.Second // for a child that has the output
	out, err := command.Output()
	shown := url.Values{}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		shown.Add(key, value)
	}
	return shown, err
}

// opened returns the sockets that systemd has open for a daemon, as doctor names them:
// those of the milter, and that of the sending side. ok is false where it has none.
func opened() (milter, sending []string, ok bool) {
	shown, err := unit(socketUnit, "ActiveState", "Listen")
	if err != nil || shown.Get("ActiveState") != "active" {
		return nil, nil, false
	}
	for _, listen := range shown["Listen"] {
		at, isStream := strings.CutSuffix(listen, " (Stream)")
		switch {
		case !isStream:
		case !filepath.IsAbs(at):
			milter = append(milter, "inet:"+at)
		case filepath.Base(at) == config.PolicySocket:
			sending = append(sending, at)
		case filepath.Base(at) != config.PolicyServiceSocket:
			milter = append(milter, at)
		}
	}
	return milter, sending, true
}
