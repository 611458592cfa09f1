package selfcheck_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tlsratchet/internal/selfcheck"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// probe tries a server once, for a minute at most.
func probe(s server) selfcheck.Result {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return selfcheck.Probe(ctx, s.dial, "mx.test:25")
}

// TestProbe: what a server does, what that means, and how it is reported.
func TestProbe(t *testing.T) {
	good := certificate(t, -1, 60, "mx.test")
	mx := offering(good)
	old := mx
	old.maxVersion, old.minVersion = tls.VersionTLS10, tls.VersionTLS10
	broken := mx
	broken.broken = true
	greets := func(s string) server { s2 := mx; s2.greeting = s; return s2 }
	for _, tc := range []struct {
		name   string
		server server
		want   selfcheck.Problem
		err    error  // wrapped
		says   string // part of the error
	}{
		{"as it should be", mx, selfcheck.OK, nil, ""},
		{"only TLS 1.0", old, selfcheck.OK, nil, ""},
		{"ends in 15 days", offering(certificate(t, -80, 15)), selfcheck.OK, nil, ""},
		{"ends in 13 days", offering(certificate(t, -80, 13)), selfcheck.CertificateExpires, nil, ""},
		{"has ended", offering(certificate(t, -80, -1)), selfcheck.CertificateInvalid, nil, ""},
		{"not yet valid", offering(certificate(t, 2, 80)), selfcheck.CertificateInvalid, nil, ""},

		{"not offered", mx.with("EHLO", "250-mx.test\r\n250 PIPELINING\r\n"), selfcheck.NotOffered, selfcheck.ErrNotOffered, ""},
		{"offered by name alone", mx.with("EHLO", "250 STARTTLS\r\n"), selfcheck.NotOffered, selfcheck.ErrNotOffered, ""},
		{"offered with a word", mx.with("EHLO", "250-mx\r\n250 STARTTLS now\r\n"), selfcheck.OK, nil, ""},
		{"not offered, and hangs up", server{greeting: mx.greeting, replies: map[string]string{"EHLO": "250 mx\r\n"}}, selfcheck.NotOffered, selfcheck.ErrNotOffered, ""},

		{"refused", mx.with("STARTTLS", "454 4.7.0 TLS not available due to local problem\r\n"),
			selfcheck.HandshakeFails, selfcheck.ErrRefused, "STARTTLS is refused: it answers 454 4.7.0 TLS not available"},
		{"goes away", mx.with("STARTTLS", "421 4.3.2 bye\r\n"), selfcheck.Unknown, selfcheck.ErrRefused, ""},
		{"hangs up in the handshake", broken, selfcheck.HandshakeFails, selfcheck.ErrHandshake, ""},
		{"nothing after it", server{greeting: mx.greeting, cert: good, replies: map[string]string{
			"EHLO": mx.replies["EHLO"], "STARTTLS": mx.replies["STARTTLS"]}},
			selfcheck.HandshakeFails, selfcheck.ErrHandshake, "nothing came after it"},

		{"busy", greets("421 4.3.2 too many\r\n"), selfcheck.Unknown, nil, "greeting: it answers 421 4.3.2 too many"},
		{"hostile", greets("554 \x1b[2Jrun\r\n"), selfcheck.Unknown, nil, "554 ?[2Jrun"},
		{"no SMTP", greets("* OK IMAP4 ready\r\n"), selfcheck.Unknown, nil, "greeting"},
		{"hangs up", server{}, selfcheck.Unknown, nil, ""},
		{"EHLO refused", mx.with("EHLO", "502 5.5.2 no\r\n"), selfcheck.Unknown, nil, "EHLO: it answers 502"},
		{"a line without end", greets("220-" + strings.Repeat("a", 1<<20) + "\r\n220 x\r\n"), selfcheck.Unknown, nil, ""},
		{"a reply without end", greets(strings.Repeat("220-a\r\n", 1<<17) + "220 x\r\n"), selfcheck.Unknown, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := probe(tc.server)
			if got := r.Problem(r.At); got != tc.want {
				t.Errorf("%v, want %v: %+v", got, tc.want, r)
			}
			if tc.err != nil && !errors.Is(r.Err, tc.err) {
				t.Errorf("error %v, want %v", r.Err, tc.err)
			}
			if tc.says != "" && (r.Err == nil || !strings.Contains(r.Err.Error(), tc.says)) {
				t.Errorf("error %v, want it to say %q", r.Err, tc.says)
			}
			if works := tc.want == selfcheck.OK; works != (r.Err == nil) && tc.err != nil {
				t.Errorf("error %v of one that is %v", r.Err, tc.want)
			}
		})
	}
}

func TestProbeLooksAtTheCertificate(t *testing.T) {
	r := probe(offering(certificate(t, -1, 60)))
	if r.Version != "TLS 1.3" || r.DaysLeft(r.At) != 60 {
		t.Errorf("%+v", r)
	}
}

// TestSlowIsNotBroken: a server that stops in the middle, wherever, takes no
// more than the time that it is given, and says nothing of TLS.
func TestSlowIsNotBroken(t *testing.T) {
	mx := offering(certificate(t, -1, 60))
	for name, script := range map[string]string{
		"no greeting":       "",
		"half a greeting":   "220",
		"no reply to EHLO":  "220 mx\r\n",
		"half the reply":    "220 mx\r\n250-mx\r\n",
		"no reply to TLS":   "220 mx\r\n" + mx.replies["EHLO"],
		"no handshake":      "220 mx\r\n" + mx.replies["EHLO"] + "220 go\r\n",
		"half a TLS record": "220 mx\r\n" + mx.replies["EHLO"] + "220 go\r\n\x16\x03",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				began := time.Now()
				r := selfcheck.Probe(ctx, silent(script), "mx.test:25")
				if r.Problem(r.At) != selfcheck.Unknown || r.Err == nil {
					t.Errorf("%+v", r)
				}
				if took := time.Since(began); took != 10*time.Second {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

// silent is a server that says so much, reads all, and then keeps the line.
func silent(script string) selfcheck.Dial {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() { _, _ = theirs.Write([]byte(script)) }()
		go func() {
			defer theirs.Close()
			buf := make([]byte, 4096)
			for {
				if _, err := theirs.Read(buf); err != nil {
					return
				}
			}
		}()
		return ours, nil
	}
}

func TestDaysLeft(t *testing.T) {
	end := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		left time.Duration
		want int
	}{
		{48 * time.Hour, 2}, {47 * time.Hour, 1}, {time.Hour, 0}, {0, 0}, {-time.Hour, -1}, {-24 * time.Hour, -1}, {-25 * time.Hour, -2},
	} {
		if got := (selfcheck.Result{CertNotAfter: end}).DaysLeft(end.Add(-tc.left)); got != tc.want {
			t.Errorf("%s left: %d days, want %d", tc.left, got, tc.want)
		}
	}
	if got := (selfcheck.Result{}).DaysLeft(end); got != 0 {
		t.Errorf("%d days of no certificate", got)
	}
}
