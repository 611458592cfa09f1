package daemon

import (
	"bytes"
	"log/slog"
	"testing"

	"tlsratchet/internal/config"
)

// TestJournalPriorities: journalctl -p warning must show a downgrade.
func TestJournalPriorities(t *testing.T) {
	for format, want := range map[string]string{
		config.LogText: "<3>level=ERROR msg=a part=x\n<4>level=WARN msg=b part=x\n<6>level=INFO msg=c part=x\n<7>level=DEBUG msg=\"d\\ne\" part=x\n",
		config.LogJSON: `<3>{"level":"ERROR","msg":"a","part":"x"}` + "\n" + `<4>{"level":"WARN","msg":"b","part":"x"}` + "\n" +
			`<6>{"level":"INFO","msg":"c","part":"x"}` + "\n" + `<7>{"level":"DEBUG","msg":"d\ne","part":"x"}` + "\n",
	} {
		var out bytes.Buffer
		level := &slog.LevelVar{}
		level.Set(slog.LevelDebug)
		log := slog.New(newHandler(&out, format, level, true)).With("part", "x")
		log.Error("a")
		log.Warn("b")
		log.Info("c")
		log.Debug("d\ne")
		level.Set(slog.LevelError)
		log.Warn("not logged")
		if out.String() != want {
			t.Errorf("%s:\n%swant\n%s", format, out.String(), want)
		}
	}
}
