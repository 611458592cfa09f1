package daemon

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/alert"
	"tlsratchet/internal/config"
	"tlsratchet/internal/loop"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

// open opens the memory, shared with other hosts where that is configured.
func (d *Daemon) open(cfg *config.Config) (err error) {
	if d.histories, err = openHistories(cfg, d.config.Load, d.processors.paging, d.log); err != nil {
		return err
	}
	d.closers = append(d.closers, func() error {
		if err := d.histories.Close(); err != nil {
			return fmt.Errorf("write the history: %w", err)
		}
		return nil
	})
	return d.share(cfg)
}

func openHistories(cfg *config.Config, now func() *config.Config, paging func(func()), log *slog.Logger) (store.Store, error) {
	if cfg.InMemory() {
		return store.NewMemory(cfg.Limits.Cache), nil
	}
	if err := makeDefaultFolder(cfg.History, config.DefaultHistory, 0o700); err != nil {
		return nil, err
	}
	options := storeOptions(cfg, now, log)
	options.Paging = paging
	file, err := store.OpenOrRecover(cfg.History, options)
	if err != nil {
		return nil, fmt.Errorf("open the history: %w", admin.WhoMay(err))
	}
	return file, nil
}

// storeOptions keeps identities for longer than any pin lasts, received or sent:
// by the configuration of now, which a reload changes.
func storeOptions(cfg *config.Config, now func() *config.Config, log *slog.Logger) store.Options {
	keep := func() int {
		cfg := now()
		return max(cfg.Policy.PinMaxAgeDays, cfg.RulesFor(tlsstate.Destination).Default().PinMaxAgeDays) + 7*tlsstate.Window
	}
	return store.Options{
		CacheSize:     cfg.Limits.Cache,
		MaxIdentities: cfg.Limits.Identities,
		KeepDays:      keep,
		ReadTimeout:   cfg.Limits.Read,
		Logger:        log,
	}
}

// watchHistory reports trouble with the history file, and its end, until ctx ends.
// The first look reports the end of what was so before the start.
func (d *Daemon) watchHistory(ctx context.Context) {
	last := "unknown"
	loop.Every(ctx, time.Minute, nil, func() {
		if now := d.histories.Stats().Trouble; now != last {
			last = now
			d.watch.notify(historyNotice(now))
		}
	})
}

// historyNotice is the notice of trouble with the history file; "" is its end.
func historyNotice(trouble string) alert.Message {
	n := alert.Message{Key: "history", Severity: alert.Warning, Status: alert.StatusOpen, Next: []string{"tlsratchet doctor"}}
	if trouble == "" {
		n.Status, n.Title, n.Text = alert.StatusClosed, "history file is in order again", "The file is whole, in its place, written and copied."
		return n
	}
	var heads []string
	for line := range strings.SplitSeq(strings.TrimSpace(trouble), "\n") {
		head, _, _ := strings.Cut(line, ":")
		heads = append(heads, head)
		n.Text += words.Sentence(line) + "\n"
	}
	n.Title, n.Text = strings.Join(heads, "; "), n.Text+"Mail is accepted and judged by what is known."
	return n
}

// share has the memory meet those of other hosts, if there are any. The server
// may come later; an error says what is wrong in the configuration, and leaves
// the memory open.
func (d *Daemon) share(cfg *config.Config) error {
	if cfg.Shared.URL == "" {
		return nil
	}
	roots, err := readRoots(cfg)
	if err != nil {
		return err
	}
	s, err := shared.New(d.histories, shared.Options{
		URL: cfg.Shared.URL, Password: cfg.Shared.Password, Roots: roots, Timeout: cfg.Shared.Timeout,
		Policy: func(k tlsstate.Kind) *tlsstate.Policy { return d.rulesFor(k).Default() },
		Logger: d.log,
	})
	if err != nil {
		return cfg.At("shared", err)
	}
	d.histories = s
	return nil
}

// readRoots reads authorities in PEM; nil is for the system's.
func readRoots(cfg *config.Config) (*x509.CertPool, error) {
	const key = "shared_roots_file"
	file := cfg.Shared.RootsFile
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, cfg.At(key, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, cfg.At(key, fmt.Errorf("no certificate in %s", file))
	}
	return roots, nil
}

// whole is the memory for operators: of all hosts, where it is shared.
func (d *Daemon) whole() store.Store {
	if s, ok := d.histories.(*shared.Store); ok {
		return shared.Whole{Store: s}
	}
	return d.histories
}
