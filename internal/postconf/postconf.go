// Package postconf asks Postfix's postconf(1) for the settings of an instance.
package postconf

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"strings"
	"time"

	"tlsratchet/internal/clean"
)

// limit is how long postconf(1) may take: it only reads files.
const limit = 10 * time.Second

// Command is what asks for the instance with that configuration directory, ""
// for the default one.
func Command(dir string) []string {
	if dir == "" {
		return []string{"postconf"}
	}
	return []string{"postconf", "-c", dir}
}

// Ask returns what postconf(1) prints for the arguments. An error has postconf's
// own message where there is one, clean; it is [exec.ErrNotFound] where there is
// no postconf.
func Ask(ctx context.Context, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	argv := append(Command(dir), args...)
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.WaitDelay = time.Second // for a child that has the output
	out, err := command.Output()
	if err == nil {
		return string(out), nil
	}
	if late := ctx.Err(); late != nil {
		return "", fmt.Errorf("%s: no answer in time: %w", strings.Join(argv, " "), late)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return "", errors.New(clean.Text(strings.TrimSpace(string(exit.Stderr)), 500))
	}
	return "", fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
}

// Expand makes of what master.cf overrides, by names such as "smtp/inet/smtpd_milters", the
// values that count there, and adds what changes with it: parameters of main.cf that name
// one in their values.
func Expand(ctx context.Context, dir string, main, overrides map[string]string) error {
	options := make(map[string][]string) // of a service
	for key, value := range overrides {
		options[path.Dir(key)] = append(options[path.Dir(key)], "-o", path.Base(key)+"="+value)
	}
	for service, args := range options {
		text, err := Ask(ctx, dir, append(args, "-x")...)
		if err != nil {
			return err
		}
		for name, value := range Settings(text) {
			if _, is := overrides[service+"/"+name]; is || value != main[name] {
				overrides[service+"/"+name] = value
			}
		}
	}
	return nil
}

// Settings reads lines of "name = value", as postconf(5) has them: with comments, and
// with lines that continue others.
func Settings(text string) map[string]string {
	all := make(map[string]string)
	last := ""
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(line, "=")
		switch content := strings.TrimSpace(line); {
		case content == "" || content[0] == '#':
		case line[0] == ' ' || line[0] == '\t':
			all[last] = strings.TrimSpace(all[last] + " " + content)
		case ok:
			last = strings.TrimSpace(name)
			all[last] = strings.TrimSpace(value)
		}
	}
	return all
}

// List returns the items of a list: separated by commas or blanks, but not
// within braces.
func List(list string) (items []string) {
	depth, start := 0, -1
	for i, r := range list {
		separates := depth == 0 && strings.ContainsRune(", \t\r\n", r)
		switch {
		case separates && start >= 0:
			items, start = append(items, list[start:i]), -1
		case !separates && start < 0:
			start = i
		}
		switch r {
		case '{':
			depth++
		case '}':
			depth--
		}
	}
	if start >= 0 {
		items = append(items, list[start:])
	}
	return items
}
