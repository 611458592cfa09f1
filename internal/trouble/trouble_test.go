package trouble

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errAway = errors.New("away")

// A trouble is logged when it begins and when it is over.
func TestNote(t *testing.T) {
	for name, row := range map[string]struct {
		level slog.Level
		calm  time.Duration
		tries []error // a second apart
		begun int     // how often Note reported a begin
		want  string
	}{
		"works":            {0, 0, []error{nil, nil}, 0, ""},
		"fails":            {0, 0, []error{errAway, errAway, errAway}, 1, "ERROR it fails k=v error=away\n"},
		"fails and works":  {0, 0, []error{errAway, errAway, nil, nil}, 1, "ERROR it fails k=v error=away\nINFO it works k=v after=2s failures=2\n"},
		"fails twice":      {0, 0, []error{errAway, nil, errAway}, 2, "ERROR it fails k=v error=away\nINFO it works k=v after=1s failures=1\nERROR it fails k=v error=away\n"},
		"warns":            {slog.LevelWarn, 0, []error{errAway}, 1, "WARN it fails k=v error=away\n"},
		"fails now and so": {0, time.Minute, []error{errAway, nil, errAway, nil, errAway, nil}, 1, "ERROR it fails k=v error=away\n"},
		"is calm again": {0, 3 * time.Second, []error{errAway, nil, errAway, nil, nil, nil, nil}, 1,
			"ERROR it fails k=v error=away\nINFO it works k=v after=5s failures=2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				s := State{Begins: "it fails", Ends: "it works", Level: row.level, Calm: row.calm}
				begun := 0
				for _, err := range row.tries {
					if s.Note(logger(&out), err, "k", "v") {
						begun++
					}
					time.Sleep(time.Second)
				}
				if got := strings.NewReplacer("level=", "", "msg=", "", `"`, "").Replace(out.String()); got != row.want || begun != row.begun {
					t.Errorf("%d begins, want %d; log:\n%swant:\n%s", begun, row.begun, got, row.want)
				}
			})
		})
	}
}

// logger writes "LEVEL message key=value…" to out.
func logger(out *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// What works costs next to nothing: it is noted with every message.
func TestNoteIsCheap(t *testing.T) {
	var s State
	log := slog.New(slog.DiscardHandler)
	if n := testing.AllocsPerRun(100, func() { s.Note(log, nil) }); n != 0 {
		t.Error(fmt.Sprint(n, " allocations"))
	}
}
