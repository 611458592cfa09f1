package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"tlsratchet/internal/loop"
	"tlsratchet/internal/maillog"
)

// showProgress draws how far a log was read, if w is a terminal, until the
// function that it returns is called: that takes the bar away again.
func showProgress(p *maillog.Progress, w io.Writer) (done func()) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func() {}
	}
	const erase = "\r\x1b[K"
	ctx, stop := context.WithCancel(context.Background())
	began := time.Now()
	var drawing sync.WaitGroup
	drawing.Go(func() {
		loop.Every(ctx, 200*time.Millisecond, nil, func() {
			fmt.Fprint(w, erase, bar(p.Bytes.Load(), p.Total.Load(), p.Lines.Load(), time.Since(began)))
		})
	})
	return func() {
		stop()
		drawing.Wait()
		fmt.Fprint(w, erase)
	}
}

// bar is what the progress looks like: no bar where the end is not known.
func bar(bytes, total, lines int64, took time.Duration) string {
	const width = 30
	rate := float64(lines) / max(took.Seconds(), 0.001) / 1e6
	tail := fmt.Sprintf("%d lines, %.1f million/s", lines, rate)
	if total == 0 {
		return tail
	}
	share := min(max(float64(bytes)/float64(total), 0), 1)
	full := int(share * width)
	return fmt.Sprintf("[%s%s] %3.0f %%  %s", strings.Repeat("#", full), strings.Repeat(".", width-full), share*100, tail)
}
