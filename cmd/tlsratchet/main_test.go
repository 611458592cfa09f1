package main

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tlsratchet": main})
}

// Each command has a script of its own in testdata.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"send":    send,
			"waitfor": waitfor,
			"signal":  signalTo,
			"code":    code,
			"as":      as,
			"falter":  falter,
			"memory":  memory,
			"hook":    hook,
		},
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"TLSRATCHET_CONFIG", "NOTIFY_SOCKET", "WATCHDOG_USEC", "NO_COLOR", "SUDO_USER"} {
				env.Setenv(name, "")
			}
			// Its port is one for the whole machine, where other tests run too.
			env.Setenv("TLSRATCHET_STATUS_LISTEN", "off")
			env.Setenv("TLSRATCHET_HISTORY", filepath.Join(env.WorkDir, "history.db"))
			// A machine that stands still for a moment is no slow disk.
			env.Setenv("TLSRATCHET_LIMITS_READ_MILLISECONDS", "10000")
			alerts, err := filepath.Abs("../../internal/alert/testdata/messages.golden")
			env.Setenv("ALERTS", alerts)
			return errors.Join(err, open(env))
		},
	})
}
