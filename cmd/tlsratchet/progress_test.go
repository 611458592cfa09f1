package main

import (
	"bytes"
	"testing"
	"time"

	"tlsratchet/internal/maillog"
)

func TestBar(t *testing.T) {
	for want, got := range map[string]string{
		"[###############...............]  50 %  1000000 lines, 0.5 million/s": bar(50, 100, 1_000_000, 2*time.Second),
		"[##############################] 100 %  7 lines, 0.0 million/s":       bar(120, 100, 7, time.Second),
		"7 lines, 0.0 million/s": bar(120, 0, 7, 0),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if len(got) > 79 {
			t.Errorf("%d columns", len(got))
		}
	}
}

// What is no terminal gets no bar.
func TestShowProgress(t *testing.T) {
	var b bytes.Buffer
	showProgress(&maillog.Progress{}, &b)()
	if b.Len() > 0 {
		t.Errorf("%q", b.String())
	}
}
