package maillog_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"tlsratchet/internal/maillog"
	"tlsratchet/test/loggen"
)

// The figure to look at is lines/s: make bench has the whole replay beside
// grep -c.
func BenchmarkRead(b *testing.B) {
	for _, format := range []loggen.Format{loggen.BSD, loggen.ISO, loggen.JSON} {
		b.Run(string(format), func(b *testing.B) {
			const lines = 200_000
			var log bytes.Buffer
			if err := loggen.Write(&log, loggen.Options{Lines: lines, Format: format}); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(log.Len()))
			b.ReportAllocs()
			sink := maillog.Sink{Deliveries: nobody{}, Session: func(*maillog.Session) {}}
			var read int64
			for b.Loop() {
				s, err := maillog.Read(context.Background(), []maillog.Source{{Name: "-", Stream: io.NopCloser(bytes.NewReader(log.Bytes()))}},
					maillog.Options{Now: time.Date(2026, time.October, 2, 0, 0, 0, 0, time.UTC)}, sink)
				if err != nil {
					b.Fatal(err)
				}
				read += s.Lines
			}
			b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
