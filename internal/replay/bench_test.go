package replay_test

import (
	"bytes"
	"context"
	"testing"

	"tlsratchet/internal/maillog"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/replay"
	"tlsratchet/test/loggen"
)

// The whole of a replay, as make bench measures it on a log of 5,000,000 lines:
// the figure to look at is lines/s.
func BenchmarkReplay(b *testing.B) {
	var log bytes.Buffer
	if err := loggen.Write(&log, loggen.Options{Lines: 500_000, Peers: 20_000}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(log.Len()))
	b.ReportAllocs()
	var lines int64
	policy := rules(b, nil)
	for b.Loop() {
		r, err := replay.Run(context.Background(), []maillog.Source{{Name: "-", Stream: bytes.NewReader(log.Bytes())}},
			maillog.Options{Now: now}, replay.Options{Rules: policy, Breaker: newInstallation, Sending: outbound.Settings{Rules: policy}})
		if err != nil {
			b.Fatal(err)
		}
		lines += r.Report.Lines
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
}
