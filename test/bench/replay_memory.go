package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"tlsratchet/test/loggen"
)

// peak is the most memory that a replay had resident at a time, in bytes.
type peak struct {
	lines, peers int
	bytes        int64
}

// steadyPeers are so few that each of them sends on nearly every day of a log of
// a fifth of the lines: more lines tell nothing new.
const steadyPeers = 1000

// measurePeaks has a replay read logs of few peers and of many, short ones and
// long ones. argv is the replay of a file.
func measurePeaks(ctx context.Context, argv []string, lines int) (all []peak, err error) {
	argv = append(append([]string(nil), argv[:len(argv)-1]...), "-")
	for _, peers := range []int{steadyPeers, logPeers} {
		for _, n := range []int{max(1, lines/5), lines} {
			p := peak{lines: n, peers: peers}
			p.bytes, err = peakOf(ctx, argv, func(w io.Writer) error {
				return loggen.Write(w, loggen.Options{Lines: n, Peers: peers})
			})
			if err != nil {
				return nil, fmt.Errorf("memory with %d lines: %w", n, err)
			}
			all = append(all, p)
		}
	}
	return all, nil
}

// peakOf runs a program and returns the most memory it had. It is looked up
// again and again, for rusage has that of the process too that started it.
func peakOf(ctx context.Context, argv []string, feed func(io.Writer) error) (most int64, err error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var errs tail
	cmd.Stderr = &errs
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return 0, err
	}
	most = peakNow(cmd.Process.Pid)
	ended, watched := make(chan struct{}), make(chan int64)
	go func() { watched <- watch(cmd.Process.Pid, ended) }()
	err = errors.Join(feed(stdin), stdin.Close())
	if waited := cmd.Wait(); waited != nil { // then feeding it failed for that
		err = fmt.Errorf("%w\n%s", waited, &errs)
	}
	close(ended)
	return max(most, <-watched), err
}

// watch returns the peak of a process, as known last before it ended.
func watch(pid int, ended <-chan struct{}) (most int64) {
	every := time.NewTicker(2 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-ended:
			return most
		case <-every.C:
			most = max(most, peakNow(pid))
		}
	}
}

func peakNow(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return parsePeak(string(text))
}

// parsePeak finds the peak in proc_pid_status(5), in bytes: 0 if it isn't there,
// as of a process that has ended.
func parsePeak(status string) int64 {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 53)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}
