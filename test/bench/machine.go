package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine is what was measured on, and with.
type machine struct {
	cpu, kernel string
	cores       int
	before      string // the load average before, and after
	after       string
	versions    []string
}

func thisMachine(ctx context.Context, o *options) machine {
	m := machine{cores: runtime.NumCPU(), kernel: kernel()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.cpu = cpuModel(string(text))
	}
	m.before = loadAverage()
	m.versions = []string{output(ctx, o.binary, "version"), runtime.Version()}
	if o.postfix {
		m.versions = append(m.versions, "Postfix "+output(ctx, "postconf", "-dh", "mail_version"))
	}
	if o.c != "" {
		m.versions = append(m.versions, "libmilter "+output(ctx, "dpkg-query", "-W", "-f", "${Version}", "libmilter-dev"))
	}
	return m
}

// loadAverage is that of the last minute, or "unknown".
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	load, _, _ := strings.Cut(string(text), " ")
	return load
}

// output is what a command prints, in one line.
func output(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return fmt.Sprintf("(%s: %v)", name, err)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

// cpuModel finds the model's name in /proc/cpuinfo.
func cpuModel(text string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown kernel"
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}
