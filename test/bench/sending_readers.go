package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tlsratchet/internal/outbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/test/bench/measure"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// readSent has the follower and replay read the same log by turns.
func (r *report) readSent(ctx context.Context, file string, lines int) (standings, error) {
	config := filepath.Join(filepath.Dir(file), "replay.toml")
	if err := errors.Join(writeFile(config, ""), writeSent(file, lines/sentLines)); err != nil {
		return nil, err
	}
	replay := logReader{name: nameReplay, argv: []string{r.binary, "replay", "--config", config, "--json", file}, lines: lines}
	all := standings{{name: nameFollower}, {name: nameReplay}}
	for range r.rounds {
		f, err := follow(ctx, file, lines/sentLines*sentLines)
		if err != nil {
			return nil, err
		}
		all[0].Series = append(all[0].Series, f)
		if f, _, err = replay.read(ctx); err != nil {
			return nil, err
		}
		all[1].Series = append(all[1].Series, f)
	}
	return all, nil
}

// writeSent writes the log of so many deliveries.
func writeSent(file string, deliveries int) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(f)
	at := time.Now().Add(-time.Duration(deliveries) * time.Millisecond)
	for n := range deliveries {
		head := at.Add(time.Duration(n)*time.Millisecond).Format(time.Stamp) + fmt.Sprintf(" mx postfix/smtp[%d]: ", 1000+n%20)
		id := int64(1)<<40 + int64(n)
		fmt.Fprintf(b, "%sUntrusted TLS connection established to %s[192.0.2.1]:25: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n", head, receiver)
		fmt.Fprintf(b, "%s%X: to=<bob@%s>, relay=%s[192.0.2.1]:25, delay=0.2, delays=0.1/0/0.1/0, dsn=2.0.0, status=sent (250 2.0.0 ok)\n", head, id, destination(n), receiver)
		fmt.Fprintf(b, "%s%X: removed\n", strings.Replace(head, "smtp[", "qmgr[9", 1), id)
	}
	return errors.Join(b.Flush(), f.Close())
}

// follow has a follower of our own read a log of so many lines, and learn from it.
func follow(ctx context.Context, file string, lines int) (f measure.Figures, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return f, err
	}
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		return f, err
	}
	quiet := slog.New(slog.DiscardHandler)
	out := outbound.New(outbound.Options{
		Histories: store.NewMemory(10_000), Settings: outbound.Settings{Rules: rules, Least: tlsstate.TLS12}, Now: time.Now, Log: quiet,
		Events: func(ratchet.Event) {},
	})
	follower := &outbound.Follower{Source: file, Sink: out, Wanted: func() bool { return true }, Now: time.Now, Log: quiet}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	began := time.Now()
	done := make(chan struct{})
	follower.Begin(outbound.Cursor{Inode: info.Sys().(*syscall.Stat_t).Ino})
	go func() {
		defer close(done)
		follower.Run(ctx)
	}()
	for follower.Stats().Lines < uint64(lines) && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	f.Rate = float64(lines) / time.Since(began).Seconds()
	err = ctx.Err()
	stop()
	<-done
	return f, err
}
