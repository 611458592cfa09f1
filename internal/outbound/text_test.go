package outbound

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/maillog"
	"tlsratchet/tlsstate"
)

// logged has the world log to a text, without times.
func (w *world) logged() *strings.Builder {
	var b strings.Builder
	w.o.Log = slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	return &b
}

// TestLogOfDeliveries: each delivery that people act on has its line, and each is counted.
func TestLogOfDeliveries(t *testing.T) {
	observe := func(p *tlsstate.Policy, _ *Settings) { p.Stripped = tlsstate.Observe }
	failed, offered := inClear, inClear
	failed.Failed, offered.Offered = true, true
	const pin = ` pin=TLSv1.2 required=false since=2026-11-30 last=2026-12-02 days=7 below=1`
	const who = `destination=bank.test host=mx.bank.test queue_id=Q8 reason=`
	const clear, would = `level=WARN msg="mail sent in clear" ` + who, ` action=observe hold_would_defer=true release=2026-12-05 seen=none` + pin
	for name, tt := range map[string]struct {
		change func(*tlsstate.Policy, *Settings)
		d      maillog.Delivery
		want   string
		counts Stats
	}{
		"held":                  {nil, refused, `level=WARN msg="mail held" ` + who + `"STARTTLS was not offered" action=hold release=2026-12-05 seen=none` + pin, Stats{Held: 1}},
		"weaker":                {nil, tls10, `level=WARN msg="mail sent with weaker TLS" ` + who + `"TLS was weaker than before" action=observe hold_would_defer=false release=2026-12-05 seen=TLSv1` + pin, Stats{Sent: [4]uint64{0, 1, 0, 0}}},
		"in clear":              {observe, inClear, clear + `"STARTTLS was not offered"` + would, Stats{Sent: [4]uint64{1, 0, 0, 0}, WouldHold: 1}},
		"offered, and in clear": {observe, offered, clear + `"STARTTLS was offered, but TLS did not begin"` + would, Stats{Sent: [4]uint64{1, 0, 0, 0}, WouldHold: 1}},
		"failed, and in clear":  {observe, failed, clear + `"the TLS handshake failed"` + would, Stats{Sent: [4]uint64{1, 0, 0, 0}, AfterFailure: 1, WouldHold: 1}},
		"over TLS":              {nil, tls12, "", Stats{Sent: [4]uint64{0, 0, 1, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tt.change)
			w.pin("bank.test")
			log, before := w.logged(), w.Stats()
			w.deliver("bank.test", tt.d)
			if got := strings.TrimSuffix(log.String(), "\n"); got != tt.want {
				t.Errorf("%s\nwant\n%s", got, tt.want)
			}
			got := w.Stats()
			for l := range got.Sent {
				got.Sent[l] -= before.Sent[l]
			}
			if got != tt.counts {
				t.Errorf("%+v, want %+v", got, tt.counts)
			}
			waits := w.State().Waiting
			if waited := tt.counts.Held+tt.counts.WouldHold > 0; len(waits) > 0 != waited || waited && waits[0].Observed != int(tt.counts.WouldHold) {
				t.Errorf("%+v", waits)
			}
		})
	}
}

// TestLogOfPins: that a destination is pinned is logged, and that it was let go.
func TestLogOfPins(t *testing.T) {
	w := newWorld(t, nil)
	log := w.logged()
	w.o.Writes = func(d tlsstate.Day) bool { return d != tlsstate.DayOf(noon)+4 } // it would form then
	w.pin("bank.test")
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `level=INFO msg="destination pinned" destination=bank.test`) || !strings.Contains(got, "since=2026-12-01 ") {
		t.Error(got)
	}
	for range 2 {
		w.deliver("bank.test", refused)
		w.days(1)
	}
	log.Reset()
	w.deliver("bank.test", inClear)
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg="mail sent in clear: pin released" destination=bank.test`) {
		t.Error(got)
	}
}

// TestHosts: what each host did is remembered, by its name, of all that were tried.
func TestHosts(t *testing.T) {
	w := newWorld(t, nil)
	sent, lost := tls12, unknown
	sent.Skipped = []string{"mx1.bank.test", "192.0.2.7"}
	sent.Host, lost.Host = "MX2.bank.test", "mx3.bank.test"
	kept, broken := refused, broken
	kept.Host, broken.Host = "mx4.bank.test", "mx5.bank.test"
	for _, d := range []maillog.Delivery{sent, lost, kept, broken} {
		d.At, d.PID, d.Domain = w.now, 77, "bank.test"
		w.Delivered(&d)
	}
	today := tlsstate.DayOf(w.now)
	for host, want := range map[string]tlsstate.Level{"mx1.bank.test": tlsstate.Plaintext, "mx2.bank.test": tlsstate.TLS12, "mx3.bank.test": 9, "mx4.bank.test": tlsstate.Plaintext, "mx5.bank.test": 9, "192.0.2.7": 9} {
		h, err := w.memory.Load(tlsstate.Identity{Kind: tlsstate.MX, Name: host})
		if known := want < 9; err != nil || (h.Last == today) != known || known && h.Seen[want]&1 == 0 {
			t.Errorf("%s: %+v, %v", host, h, err)
		}
	}
}

// sick is a memory that fails.
type sick struct{ *others }

func (sick) Load(tlsstate.Identity) (h tlsstate.History, err error) { return h, errors.New("no disk") }

// full is a memory that takes no more.
type full struct{ *others }

func (full) Update(tlsstate.Identity, netip.Addr, tlsstate.Day, func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	return tlsstate.History{}, errors.New("no space")
}

// TestMemoryFails: nothing is held then, and it is logged once a minute.
func TestMemoryFails(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	log := w.logged()
	w.o.Histories = sick{&others{Memory: w.memory}}
	for range 2 {
		if w.deliver("bank.test", tls12) {
			t.Error("held")
		}
	}
	if n := strings.Count(log.String(), `level=ERROR msg="sending side: a decision failed; Postfix delivers as without tlsratchet" error="loading destination:bank.test: no disk"`); n != 1 || w.Stats().Failures != 4 {
		t.Errorf("%d failures, %d lines:\n%s", w.Stats().Failures, n, log)
	}
	w.o.Histories = full{&others{Memory: w.memory}}
	if w.deliver("bank.test", tls12); w.Stats().Failures != 6 {
		t.Errorf("%d failures, want two more: of the destination and of the host", w.Stats().Failures)
	}
	w.o.Histories = sick{&others{Memory: w.memory}}
	if _, err := w.Explain("bank.test"); err == nil || !strings.Contains(err.Error(), "no disk") {
		t.Error(err)
	}
}

// TestExplanations: each step to an answer is a sentence.
func TestExplanations(t *testing.T) {
	hold := tlsstate.Tempfail
	w := newWorld(t, rows(tlsstate.Row{Domain: "must.test", Least: tlsstate.TLS12, Action: &hold}, tlsstate.Row{Domain: "old.test", Exempt: true}))
	w.pin("bank.test")
	const no, yes = "The answer to Postfix is that nothing is known: mail is sent as without tlsratchet.", `The answer to Postfix is "encrypt": without TLS its mail waits.`
	for key, want := range map[string]string{
		"new.test":  "No delivery to new.test is known. It has no pin. The action is hold. " + no,
		"bank.test": "Deliveries to bank.test are known from 2026-11-26 to 2026-12-02. It is pinned at TLSv1.2 since 2026-11-30: met on 7 of the last 64 days, last on 2026-12-02. The action is hold. " + yes,
		"must.test": "No delivery to must.test is known. The configuration requires TLSv1.2 of it. A [[send]] row sets the action hold. " + yes,
		"old.test":  "No delivery to old.test is known. It has no pin. A [[send]] row exempts it. " + no,
	} {
		if e, err := w.Explain(key); err != nil || strings.Join(e.Rules, " ") != want {
			t.Errorf("%v: %s\nwant %s", err, strings.Join(e.Rules, " "), want)
		}
	}
	for _, least := range []tlsstate.Level{tlsstate.TLS12, tlsstate.TLS13} {
		w.settings.Load().Least = least
		e, err := w.Explain("bank.test")
		if below := strings.Contains(strings.Join(e.Rules, " "), `below [outbound] least = "TLSv1.3"`); err != nil || below != (least == tlsstate.TLS13) || e.Encrypt == below {
			t.Errorf("%s: %+v, %v", least, e, err)
		}
	}
}

// TestOverviewText is all that the overview may show.
func TestOverviewText(t *testing.T) {
	w := newWorld(t, nil)
	w.pin("bank.test")
	o := w.Overview()
	o.Log, o.Lookups, o.Encrypts = "/var/log/mail.log", 12, 3
	text := func() string {
		var b strings.Builder
		o.Write(&b, w.now)
		return regexp.MustCompile(" +\n").ReplaceAllString(b.String(), "\n")
	}
	first := "Action: hold. Postfix asked 12 times; 3 answers were \"encrypt\".\n"
	if got := text(); got != first+"Log: /var/log/mail.log. No line about a delivery was read yet.\nNo destination fails.\n" {
		t.Error(got)
	}
	o.LastLine = w.now.Add(-time.Minute)
	if got := text(); got != first+"Log: /var/log/mail.log. The newest line about a delivery is 1m0s old.\nNo destination fails.\n" {
		t.Error(got)
	}
	for n := range maxHosts + 2 {
		d := refused
		d.At, d.PID, d.QueueID, d.Domain, d.Host = w.now, 77, "Q99", "bank.test", fmt.Sprintf("mx%d.bank.test", n)
		w.Answer([]byte("bank.test"), 77)
		w.Delivered(&d)
	}
	w.failing(11)
	o.State, o.Fault, o.Forbidden, o.Unlogged = w.State(), "permission denied", "it is so", "relay/unix/smtp_tls_loglevel in /etc/postfix"
	o.Outage.Override = Hold
	want := first + `Nothing can be held: it is so.
The log is not read: permission denied.
Mail without a line about TLS in the log is unknown, never in clear: relay/unix/smtp_tls_loglevel in /etc/postfix is 0.
Outage of our own network since 2026-12-03T12:00:00Z: 12 destinations fail.
Override: ` + overrideWords[Hold] + `.
DESTINATION  PIN      SINCE       WAITING  IN CLEAR  RELEASE     REASON
bank.test    TLSv1.2  2026-12-03  1        0         2026-12-05  STARTTLS was not offered by mx0.bank.test, mx1.bank.test, mx2.bank.test, mx3.bank.test, mx4.bank.test, mx5.bank.test, mx6.bank.test, mx7.bank.test
To let the mail to bank.test go now: tlsratchet peer unpin --why 'REASON' destination:bank.test && postqueue -f
`
	if got := text(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestSentDays: the newest 64 days are listed, the oldest of them first.
func TestSentDays(t *testing.T) {
	w := newWorld(t, nil)
	for range tlsstate.Window + 9 {
		w.deliver("bank.test", tls12)
		w.days(1)
	}
	w.days(-1)
	days := w.State().Sent.Days
	for i := range days {
		if want := tlsstate.DayOf(w.now) - tlsstate.Day(len(days)-1-i); days[i].Day != want {
			t.Fatalf("row %d is of %s, want %s", i, days[i].Day, want)
		}
	}
	if len(days) != tlsstate.Window {
		t.Errorf("%d days", len(days))
	}
}

// TestReleaseDay: what was released by now goes today.
func TestReleaseDay(t *testing.T) {
	for below, want := range map[int]string{0: "2026-11-29", 2: "2026-11-27", 3: "2026-11-26", 9: "2026-11-26"} {
		if got := releaseOf(noon, &tlsstate.Verdict{Below: below}, 3); got != want {
			t.Errorf("%d days below: %s, want %s", below, got, want)
		}
	}
}

// TestSentText: where most went in clear is first, and nothing is listed without need.
func TestSentText(t *testing.T) {
	w := newWorld(t, nil)
	text := func() string {
		var b strings.Builder
		sent := w.State().Sent
		sent.Write(&b)
		return b.String()
	}
	if got := text(); got != "No delivery is known yet.\n" {
		t.Error(got)
	}
	w.deliver("bank.test", tls12)
	w.deliver("bank.test", tls12)
	const levels = "  plaintext 0\n  weak     0\n  TLSv1.2  2\n  TLSv1.3  0\n"
	if got := text(); got != "2 recipients on 1 days, 100.0 % encrypted.\n"+strings.Replace(levels, "plaintext 0", "none     0", 1) {
		t.Error(got)
	}
	for n := range 9 {
		for range 10 - n {
			w.deliver(fmt.Sprintf("d%d.test", (n*4)%9), inClear)
		}
	}
	lines := strings.Split(text(), "\n")
	if len(lines) != 1+4+1+9+1 || lines[5] != "In clear, the largest first:" || lines[6] != "  10       d0.test" || lines[14] != "  2        d5.test" {
		t.Errorf("%q", lines)
	}
}
