package loggen_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"tlsratchet/internal/maillog"
	"tlsratchet/test/loggen"
)

func written(t *testing.T, o loggen.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := loggen.Write(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// nobody wants to know of deliveries.
type nobody struct{}

func (nobody) Delivered(*maillog.Delivery) {}
func (nobody) Removed(string)              {}

// The same options make the same log, another seed another one, and all forms
// have the same content.
func TestWrite(t *testing.T) {
	o := loggen.Options{Lines: 20_000, Peers: 300}
	if !bytes.Equal(written(t, o), written(t, o)) {
		t.Error("not the same twice")
	}
	if bytes.Equal(written(t, o), written(t, loggen.Options{Lines: 20_000, Peers: 300, Seed: 1})) {
		t.Error("another seed, the same log")
	}
	var first maillog.Stats
	for _, f := range []loggen.Format{loggen.BSD, loggen.ISO, loggen.JSON} {
		o.Format = f
		levels := map[string]int{}
		stats, err := maillog.Read(context.Background(), []maillog.Source{{Name: string(f), Stream: bytes.NewReader(written(t, o))}},
			maillog.Options{Now: time.Date(2026, time.October, 2, 0, 0, 0, 0, time.UTC)},
			maillog.Sink{Deliveries: nobody{}, Session: func(s *maillog.Session) { levels[s.Security.Level.String()] += s.Messages }})
		if err != nil {
			t.Fatal(err)
		}
		if stats.Lines < 20_000 || stats.Broken != 0 || stats.Smtpd < 9000 {
			t.Errorf("%s: %+v", f, stats)
		}
		if levels["none"] == 0 || levels["TLSv1.2"] == 0 || levels["TLSv1.3"] < 10*levels["none"]/2 {
			t.Errorf("%s: %v", f, levels)
		}
		if first.Lines == 0 {
			first = stats
		}
		if stats.Lines != first.Lines || stats.Smtpd != first.Smtpd || !stats.Ended.Equal(first.Ended) {
			t.Errorf("%s has %+v, not %+v", f, stats, first)
		}
	}
}
