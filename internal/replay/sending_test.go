package replay_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/outbound"
	"tlsratchet/internal/replay"
	"tlsratchet/tlsstate"
)

// sentMail is the log of a delivery to bank.example.
func sentMail(at time.Time, n int, host string, encrypted bool) string {
	relay := host + "[192.0.2.10]:25"
	lines := []string{fmt.Sprintf("4Q%d: to=<ann@bank.example>, relay=%s, delay=0.2, delays=0.1/0/0.1/0, dsn=2.0.0, status=sent (250 Ok)", n, relay)}
	if encrypted {
		lines = append([]string{"Untrusted TLS connection established to " + relay + ": TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"}, lines...)
	}
	var b strings.Builder
	for i, line := range lines {
		fmt.Fprintf(&b, "%s mx1 postfix/smtp[7]: %s\n", at.Add(time.Duration(5+i)*time.Second).Format(time.RFC3339), line)
	}
	return b.String()
}

func replaySent(t *testing.T, texts ...string) *replay.Result {
	t.Helper()
	policy := rules(t, nil)
	return read(t, texts...).run(replay.Options{Rules: policy, Breaker: newInstallation, Sending: outbound.Settings{Rules: policy, Least: tlsstate.TLS12}})
}

// TestSentFuture: a delivery of a time to come does not have pins lapse.
func TestSentFuture(t *testing.T) {
	var sent strings.Builder
	for day := 2; day <= 8; day++ {
		sent.WriteString(sentMail(on(day, 8, 0), day, "mx.bank.example", true))
	}
	sent.WriteString(sentMail(on(400, 8, 0), 400, "mx.bank.example", true))
	if got := replaySent(t, sent.String()).Report.Sent; got == nil || got.Pinned != 1 {
		t.Errorf("%+v", got)
	}
}

// Both directions are read in one pass.
func TestSent(t *testing.T) {
	var sent strings.Builder
	sent.WriteString(sentMail(on(1, 7, 0), 0, "mx.bank.example", false)[:40] + "\n") // begins in the middle
	for day := 2; day <= 8; day++ {
		sent.WriteString(sentMail(on(day, 8, 0), day, "mx.bank.example", day < 8))
	}
	sent.WriteString(strings.ReplaceAll(sentMail(on(8, 9, 0), 9, "127.0.0.1", false), "192.0.2.10", "127.0.0.1")) // a filter
	received := text(append(steady(bank, 1, 6), mail{at: on(7, 9, 0), who: bank}))
	r := replaySent(t, received, sent.String())
	got := r.Report.Sent
	if r.Report.Judged.Messages != 7 || len(r.Report.Incidents) != 1 || got == nil {
		t.Fatalf("%+v", r.Report)
	}
	want := replay.Sent{
		Levels:       []replay.SentCount{{Level: tlsstate.TLS13, Recipients: 6}, {Level: tlsstate.TLS12}, {Level: tlsstate.Weak}, {Level: tlsstate.Plaintext, Recipients: 1}},
		Unattributed: 1, WouldHold: 1, Destinations: 1, Pinned: 1,
	}
	incidents := got.Incidents
	got.Incidents = nil
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Error(diff)
	}
	if len(incidents) != 1 || incidents[0].Identity != "destination:bank.example" || incidents[0].Kind != tlsstate.Stripped || incidents[0].Action != tlsstate.Observe || incidents[0].Client != "mx.bank.example[192.0.2.10]" {
		t.Errorf("%+v", incidents)
	}
	if h := r.Histories[tlsstate.Identity{Kind: tlsstate.Destination, Name: "bank.example"}]; h.First.String() != "2026-09-02" || h.Last.String() != "2026-09-08" {
		t.Errorf("%+v", h)
	}
	got.Incidents = incidents
	var b bytes.Buffer
	if err := r.Report.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"hold would have deferred                    1\n", "destinations, pinned                        1             1\n", "Incidents of our own mail: 1\n"} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no %q in\n%s", line, &b)
		}
	}
}

// A host that takes all mail shows nothing of the destinations behind it.
func TestSentByRelay(t *testing.T) {
	var b strings.Builder
	for n := range 30 {
		b.WriteString(strings.ReplaceAll(sentMail(on(2, 8, n), n, "smtp.provider.example", true), "bank.example", fmt.Sprintf("bank%d.example", n%4)))
	}
	r := replaySent(t, b.String())
	if r.Report.Sent.Relay != "smtp.provider.example" || len(r.Histories) != 0 {
		t.Errorf("%+v, %v", r.Report.Sent, r.Histories)
	}
}

// TestSentWithoutTLSLines: before its first line of TLS a log may be of the time before
// smtp_tls_loglevel = 1: nothing in it is known to be in clear.
func TestSentWithoutTLSLines(t *testing.T) {
	var b strings.Builder
	for day := 1; day <= 4; day++ {
		b.WriteString(sentMail(on(day, 8, 0), day, "mx.bank.example", false))
	}
	r := replaySent(t, b.String())
	var text bytes.Buffer
	if err := r.Report.WriteText(&text); err != nil || len(r.Histories) != 0 || r.Report.Sent.Unknown != 4 || !strings.Contains(text.String(), "set smtp_tls_loglevel = 1") {
		t.Errorf("%v, %+v, %v\n%s", err, r.Report.Sent, r.Histories, &text)
	}
	b.WriteString(sentMail(on(5, 8, 0), 5, "mx.bank.example", true) + sentMail(on(6, 8, 0), 6, "mx.bank.example", false))
	got := replaySent(t, b.String()).Report.Sent
	if got.Unknown != 4 || got.Levels[0].Recipients != 1 || got.Levels[3].Recipients != 1 || got.TLSNotLogged {
		t.Errorf("%+v", got)
	}
}
