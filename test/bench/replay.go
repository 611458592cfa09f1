package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tlsratchet/test/bench/measure"
	"tlsratchet/test/loggen"
)

// The names of those that read a log.
const (
	nameReplay    = "tlsratchet replay"
	nameGrep      = "grep -c"
	namePflogsumm = "pflogsumm"
)

const (
	// logPeers send the mail of the large log: about as many clients as come to
	// a server with so much mail.
	logPeers = 20_000
	// fewer is the part of the lines that pflogsumm gets: one in so many.
	fewer = 10
	// locale is that of Debian where nobody chose another.
	locale = "C.UTF-8"
)

// replays are how fast logs are read.
type replays struct {
	lines, fewer int // of the log, and of the one that pflogsumm reads
	bytes        int64
	versions     []string
	standings
	peaks []peak
}

// logReader is a program that reads a log.
type logReader struct {
	name  string
	argv  []string
	lines int
	// counts returns how many lines of smtpd(8) the output speaks of; nil if it
	// doesn't say.
	counts func(out []byte) (int, error)
}

// measureReplays has all read the same log, kept in o.cache for the next time.
func (r *report) measureReplays(ctx context.Context, stderr io.Writer) error {
	return inFolder(os.TempDir(), func(dir string) error {
		m := &replays{lines: r.lines, fewer: max(1, r.lines/fewer)}
		all, err := r.logReaders(ctx, m, dir, stderr)
		if err != nil {
			return err
		}
		if m.standings, err = readRounds(ctx, all, r.rounds); err != nil {
			return err
		}
		r.replays = m
		m.peaks, err = measurePeaks(ctx, all[0].argv, r.lines)
		return err
	})
}

// logReaders returns ours, which is the first, and those of the others that can
// be had.
func (r *report) logReaders(ctx context.Context, m *replays, dir string, stderr io.Writer) ([]logReader, error) {
	config := filepath.Join(dir, "tlsratchet.toml") // not this machine's
	log, err := largeLog(r.cache, m.lines, stderr)
	if err == nil {
		m.bytes, err = sizeOf(log)
	}
	if err = errors.Join(err, writeFile(config, "")); err != nil {
		return nil, err
	}
	all := []logReader{{nameReplay, []string{r.binary, "replay", "--config", config, "--json", log}, m.lines, smtpdOfReplay}}
	if _, err := exec.LookPath("grep"); err != nil {
		r.leaveOut(nameGrep, err)
	} else {
		all = append(all, logReader{nameGrep, []string{"grep", "-c", "postfix/smtpd", log}, m.lines, smtpdOfGrep})
		version, _, _ := strings.Cut(output(ctx, "grep", "--version"), " Copyright")
		m.versions = append(m.versions, version)
	}
	if err := findPflogsumm(ctx, stderr); err != nil {
		r.leaveOut(namePflogsumm, err)
		return all, nil
	}
	m.versions = append(m.versions, output(ctx, "pflogsumm", "--version"))
	part, err := largeLog(r.cache, m.fewer, stderr)
	return append(all, logReader{namePflogsumm, []string{"pflogsumm", part}, m.fewer, nil}), err
}

// largeLog returns a log of so many lines.
func largeLog(cache string, lines int, stderr io.Writer) (string, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(cache, fmt.Sprintf("log-v1-%d-%d.log", logPeers, lines))
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	fmt.Fprintf(stderr, "bench: making a log of %d lines in %s\n", lines, cache)
	part := file + ".part"
	f, err := os.Create(part)
	if err != nil {
		return "", err
	}
	err = loggen.Write(f, loggen.Options{Lines: lines, Peers: logPeers})
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("making %s: %w", part, err)
	}
	return file, os.Rename(part, file)
}

func sizeOf(file string) (int64, error) {
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// readRounds has all read once a round, forwards and backwards by turns, after
// a round that doesn't count.
func readRounds(ctx context.Context, all []logReader, rounds int) (standings, error) {
	s := make(standings, len(all))
	counted := -1
	for round := range rounds + 1 {
		for i := range all {
			if round%2 == 1 {
				i = len(all) - 1 - i
			}
			f, n, err := all[i].read(ctx)
			if err == nil && n >= 0 && counted >= 0 && n != counted {
				err = fmt.Errorf("%d lines of smtpd, not %d as another finds", n, counted)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", all[i].name, err)
			}
			s[i].name, counted = all[i].name, max(n, counted)
			if round > 0 {
				s[i].Series = append(s[i].Series, f)
			}
		}
	}
	return s, nil
}

// read runs the program once. counted is -1 if it doesn't say.
func (l *logReader) read(ctx context.Context) (f measure.Figures, counted int, err error) {
	cmd := exec.CommandContext(ctx, l.argv[0], l.argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL="+locale)
	var out bytes.Buffer // and not /dev/null: with that, GNU grep stops at the first match
	var errs tail
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	err = cmd.Run()
	took := time.Since(began)
	if err != nil {
		return f, 0, fmt.Errorf("%w\n%s", err, &errs)
	}
	lines := time.Duration(l.lines)
	f.Rate = float64(l.lines) / took.Seconds()
	f.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()) / lines
	if l.counts == nil {
		return f, -1, nil
	}
	counted, err = l.counts(out.Bytes())
	return f, counted, err
}

// smtpdOfReplay reads the report of replay --json.
func smtpdOfReplay(out []byte) (int, error) {
	var r struct{ Smtpd int }
	err := json.Unmarshal(out, &r)
	return r.Smtpd, err
}

func smtpdOfGrep(out []byte) (int, error) { return strconv.Atoi(strings.TrimSpace(string(out))) }

// findPflogsumm installs pflogsumm where it is missing, as Debian has it.
func findPflogsumm(ctx context.Context, stderr io.Writer) error {
	_, err := exec.LookPath("pflogsumm")
	if err == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w; run as root to have it installed", err)
	}
	for _, args := range [][]string{{"install"}, {"update"}, {"install"}} { // the lists may be old, or not there
		if args[0] == "install" {
			args = append(args, "--yes", "--no-install-recommends", "--no-remove", "pflogsumm")
		}
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{"--quiet", "-o", "DPkg::Lock::Timeout=120"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = stderr, stderr
		if err = cmd.Run(); err == nil && args[0] == "install" {
			return nil
		}
	}
	return fmt.Errorf("installing it: %w", err)
}
