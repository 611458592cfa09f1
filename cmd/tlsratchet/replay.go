package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/config"
	"tlsratchet/internal/daemon"
	"tlsratchet/internal/maillog"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/replay"
	"tlsratchet/tlsstate"
)

func replayCommand() *cli.Command {
	return &cli.Command{
		Name: "replay", Usage: "show what would have been done to the mail of Postfix logs", ArgsUsage: "FILE…",
		Description: "Reads logs, plain or compressed, rotated ones in any order, and journalctl -o short-iso or\n" +
			"json; - is standard input. Nothing is changed unless --apply is given. Flags of the policy\n" +
			"override the configuration, so that two policies can be compared.",
		Flags: operatorFlags(append(policyFlags(),
			&cli.IntFlag{Name: "year", Usage: "`YEAR` in which each file begins, for times without one", DefaultText: "by the time of the file"},
			&cli.StringFlag{Name: "verdicts", Usage: "write a line of JSON to a new `FILE` for each group of messages that was judged"},
			&cli.BoolFlag{Name: "apply", DisableDefaultText: true, Usage: "remember what was learned: merge it into the daemon's memory, or the file"},
			&cli.StringFlag{Name: "listener", Usage: "with --apply: all of the log came in at `PORT`, so that STARTTLS is known to be offered there"},
		)...),
		Action: runReplay,
	}
}

func runReplay(c *cli.Context) error {
	cfg, err := loadConfig(c)
	if err != nil {
		return err
	}
	listener, err := listenerFlag(c)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	c.Context = ctx
	result, err := replayLogs(c, cfg)
	if err != nil {
		return err
	}
	var applied *admin.Imported
	if c.Bool("apply") {
		applied, err = apply(c, cfg, result, listener)
	}
	if r := &result.Report; r.Smtpd == 0 && r.Sent == nil && (r.Lines > 0 || len(r.Problems) > 0) {
		err = errors.Join(err, errors.New("replay: no line of Postfix's smtpd in these logs"))
	}
	printReplay(c, replayShown{result.Report, applied})
	return err
}

// logSources returns the logs that the command line names.
func logSources(c *cli.Context) (sources []maillog.Source, err error) {
	if c.NArg() == 0 {
		return nil, usagef("replay takes logs: FILE…, or - for standard input")
	}
	in := false
	for _, name := range c.Args().Slice() {
		s := maillog.Source{Name: name}
		if name == "-" {
			if in {
				return nil, usagef("standard input can be read once: give - once")
			}
			in, s = true, maillog.Source{Name: "standard input", Stream: os.Stdin}
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// replayLogs replays the logs that the command line names.
func replayLogs(c *cli.Context, cfg *config.Config) (result *replay.Result, err error) {
	sources, err := logSources(c)
	if err != nil {
		return nil, err
	}
	year := c.Int("year")
	if c.IsSet("year") && (year < 1980 || year > 2148) {
		return nil, usagef("--year: use 1980 to 2148, not %d", year)
	}
	o := replay.Options{
		Rules:   cfg.Rules(),
		Breaker: cfg.Breaker,
		Sending: outbound.Settings{Rules: cfg.RulesFor(tlsstate.Destination), Least: cfg.Outbound.Least},
	}
	if name := c.String("verdicts"); name != "" {
		file, failed := newFile(name)
		if failed != nil {
			return nil, failed
		}
		w := bufio.NewWriter(file)
		defer func() { err = errors.Join(err, w.Flush(), file.Close()) }()
		o.Verdicts = w
	}
	progress := new(maillog.Progress)
	defer showProgress(progress, c.App.ErrWriter)()
	result, err = replay.Run(c.Context, sources, maillog.Options{Year: year, Now: time.Now(), Progress: progress}, o)
	for _, name := range c.Args().Slice() {
		if errors.Is(err, fs.ErrPermission) && errors.Is(unix.Access(name, unix.R_OK), fs.ErrPermission) {
			err = admin.Denied(name)
			break
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; if Postfix logs to the journal: journalctl --facility=mail -o short-unix | tlsratchet replay -", err)
	}
	return result, err
}

// newFile opens the file of --verdicts. One that holds something, as a log, is
// left alone; a device or a pipe is as good.
func newFile(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("--verdicts: %w", err)
	}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		return nil, errors.Join(usagef("--verdicts: %s is not empty: name a new file", name), file.Close())
	}
	return file, nil
}

// listenerFlag returns the identity that --listener names, or none.
func listenerFlag(c *cli.Context) (id tlsstate.Identity, err error) {
	text := c.String("listener")
	if text == "" {
		return id, nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return id, usagef("--listener: want the port that mail comes in at, such as 25, got %q", text)
	}
	if !c.Bool("apply") {
		return id, usagef("--listener is for --apply")
	}
	return tlsstate.Identity{Kind: tlsstate.Listener, Name: strconv.FormatUint(port, 10)}, nil
}

// apply merges what was learned into the memory.
func apply(c *cli.Context, cfg *config.Config, r *replay.Result, listener tlsstate.Identity) (*admin.Imported, error) {
	a, err := connect(c, cfg, daemon.MayStart)
	if err != nil {
		return nil, fmt.Errorf("nothing was applied: %w", err)
	}
	done, err := a.Import(c.Context, "replay", operatorName(), learned(r, listener))
	if err = errors.Join(err, a.Close()); err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	return &done, nil
}

// learned lists the histories of a replay.
func learned(r *replay.Result, listener tlsstate.Identity) iter.Seq2[admin.Line, error] {
	return func(yield func(admin.Line, error) bool) {
		for id, h := range r.Histories {
			if !yield(admin.Line{Identity: id, History: h}, nil) {
				return
			}
		}
		if !listener.IsZero() && r.Offered != (tlsstate.History{}) {
			yield(admin.Line{Identity: listener, History: r.Offered}, nil)
		}
	}
}

// replayShown is a report, and what --apply did, as JSON.
type replayShown struct {
	replay.Report
	Applied *admin.Imported `json:"applied,omitempty"`
}

func printReplay(c *cli.Context, r replayShown) {
	show(c, r, func(w io.Writer) {
		r.WriteText(w)
		if r.Applied != nil {
			warnRefused(c, "apply", r.Applied)
			fmt.Fprintf(w, "\nApplied: %d identities of the log, %d of them changed the memory.\n", r.Applied.Lines, r.Applied.Changed)
			printLater(w, r.Applied.Later)
		}
	})
}
