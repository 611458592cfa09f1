package maillog_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tlsratchet/internal/maillog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is when the tests' logs are read.
var now = time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)

func options() maillog.Options { return maillog.Options{Now: now} }

// found is what was found in a log, in lines.
type found struct {
	sessions []string
	failures []string
	stats    maillog.Stats
}

func (t found) String() string { return strings.Join(t.sessions, "\n") }

// line writes a session as
// "2026-11-22T18:36:15Z mx1.bank.example[192.0.2.10] 1 TLSv1.3 mx1/postfix/smtpd", with what is special about it.
func line(s *maillog.Session) string {
	seen := s.Security.Words()
	if s.Security.Certificate {
		seen += " trusted"
	}
	if s.Unknown != "" {
		seen = "unknown (" + string(s.Unknown) + ")"
	}
	if s.Authenticated {
		seen += " authenticated"
	}
	return fmt.Sprintf("%s %s[%s] %d %s %s/%s", s.At.Format(time.RFC3339), s.Client.Name, s.Client.Addr, s.Messages, seen, s.Listener.Host, s.Listener.Service)
}

// nobody wants to know of deliveries.
type nobody struct{}

func (nobody) Delivered(*maillog.Delivery) {}
func (nobody) Removed(string)              {}

func read(t testing.TB, o maillog.Options, sources ...maillog.Source) found {
	t.Helper()
	var got found
	stats, err := maillog.Read(context.Background(), sources, o, maillog.Sink{
		Deliveries: nobody{},
		Session: func(s *maillog.Session) {
			if s.Messages == 0 {
				got.failures = append(got.failures, s.At.Format(time.RFC3339)+" "+s.Client.Addr)
				return
			}
			got.sessions = append(got.sessions, line(s))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got.stats = stats
	return got
}

func readText(t testing.TB, text string) found {
	t.Helper()
	return read(t, options(), stream(text))
}

func stream(text string) maillog.Source {
	return maillog.Source{Name: "-", Stream: strings.NewReader(text)}
}

// file writes a log that was last written at the given time.
func file(t testing.TB, name string, data []byte, written time.Time) maillog.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, written, written); err != nil {
		t.Fatal(err)
	}
	return maillog.Source{Name: path}
}

// The messages of which the tests make their logs.
const (
	bank       = "mx1.bank.example[192.0.2.10]"
	connect    = "connect from " + bank
	tls13      = "Anonymous TLS connection established from " + bank + ": TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519"
	client     = "4Q1: client=" + bank
	byeTLS     = "disconnect from " + bank + " ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7"
	byeClear   = "disconnect from " + bank + " ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"
	clearFound = "none mx1/postfix/smtpd"
)

// log makes a log of one process, a second between the lines.
func log(messages ...string) string {
	var b strings.Builder
	for n, m := range messages {
		fmt.Fprintf(&b, "Nov 22 10:%02d:%02d mx1 postfix/smtpd[7]: %s\n", n/60, n%60, m)
	}
	return b.String()
}
