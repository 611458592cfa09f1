package posttest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// environment is small: MAIL_CONFIG would lead to another instance.
func environment() []string {
	return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin:" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
}

// keeper is a process that stops an instance when its standard input ends, be
// it because we close it or because this process died.
type keeper struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

func startKeeper(etc string) (*keeper, error) {
	// Where the start failed there is nothing to stop.
	const script = `read -r _; postfix -c "$1" status 2>&- || exit 0; exec postfix -c "$1" stop`
	cmd := exec.Command("/bin/sh", "-c", script, "sh", etc)
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is for us
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("keeper: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("keeper: %w", err)
	}
	return &keeper{cmd: cmd, in: stdin}, nil
}

func (k *keeper) end() error {
	return errors.Join(k.in.Close(), k.cmd.Wait())
}
