package maillog

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"tlsratchet/tlsstate"
)

// deliveries gathers what the joiner finds, one line each.
type deliveries struct{ all []string }

func (d *deliveries) Delivered(v *Delivery) {
	use := [...]string{"unknown", "clear", v.Security.Level.String()}[v.TLS]
	if _, err := netip.ParseAddr(v.Addr); err != nil && v.Host != "" {
		use += " at " + v.Addr
	}
	s := fmt.Sprintf("%s %s %s %s", v.QueueID, v.Domain, v.Host, use)
	for _, flag := range []struct {
		on   bool
		word string
	}{
		{v.Status == 0, "probe"}, {v.Status == Deferred, "deferred"}, {v.Status == Bounced, "bounced"}, {v.Reused, "reused"}, {v.Offered, "offered"},
		{v.Failed, "failed"}, {v.Refusal == NotOffered, "not-offered"}, {v.Refusal == Handshake, "handshake"}, {v.Refusal == Ended, "ended"},
		{v.Suspended, "suspended"}, {v.Doubtful, "doubtful"}, {len(v.Skipped) > 0, "skipped=" + strings.Join(v.Skipped, ",")},
	} {
		if flag.on {
			s += " " + flag.word
		}
	}
	d.all = append(d.all, s)
}
func (d *deliveries) Removed(id string) { d.all = append(d.all, id+" removed") }

// line reads a line of the host mx.
func (d *Deliveries) line(at time.Time, program string, pid uint32, message []byte) {
	d.Line(&Line{At: at, Host: "mx", Program: program, PID: pid, Message: message})
}

const (
	tls13    = "Untrusted TLS connection established to mx.bank.test[127.0.0.2]:25: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature ECDSA (P-256) server-digest SHA256"
	tls13b   = "Trusted TLS connection reused to mx2.bank.test[127.0.0.3]:25: TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)"
	sent     = "4Q1: to=<ann@bank.test>, relay=mx.bank.test[127.0.0.2]:25, delay=0.2, delays=0.1/0/0.1/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4Q9)"
	offer    = "Host offered STARTTLS: [mx.bank.test]"
	notTLS   = "4Q1: TLS is required, but was not offered by host mx.bank.test[127.0.0.2]"
	held     = "4Q1: to=<ann@bank.test>, relay=mx.bank.test[127.0.0.2]:25, delay=0.2, delays=0.1/0/0.1/0, dsn=4.7.4, status=deferred (TLS is required, but was not offered by host mx.bank.test[127.0.0.2])"
	refused  = "4Q1: to=<bob@bank.test>, relay=mx.bank.test[127.0.0.2]:25, delay=0.2, delays=0.1/0/0.1/0, dsn=4.0.0, status=deferred (host mx.bank.test[127.0.0.2] said: 450 no (in reply to RCPT TO command))"
	down     = "4Q1: to=<ann@bank.test>, relay=none, delay=0.2, delays=0.1/0/0.1/0, dsn=4.4.1, status=deferred (connect to mx2.bank.test[127.0.0.3]:25: Connection refused)"
	endedTLS = "4Q1: to=<ann@bank.test>, relay=mx.bank.test[127.0.0.2]:25, delay=300, delays=300/0/0.1/0, dsn=4.4.2, status=deferred (lost connection with mx.bank.test[127.0.0.2] while performing the EHLO handshake)"
	suspend  = "4Q2: to=<ann@bank.test>, relay=none, delay=0.2, delays=0.1/0.1/0/0, dsn=4.7.4, status=deferred (delivery temporarily suspended: TLS is required, but was not offered by host mx.bank.test[127.0.0.2])"
)

func TestDeliveries(t *testing.T) {
	next := strings.Replace(sent, "4Q1", "4Q2", 1)
	const mixed = "Nov 26 20:00:01 mx postfix/smtp[78]: 4Q3: to=<ann@other.test>, relay=mx.other.test[127.0.0.4]:25, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)"
	other := strings.NewReplacer("mx.bank.test[127.0.0.2]", "mx2.bank.test[127.0.0.3]")
	for _, tt := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"TLS", []string{tls13, sent}, "4Q1 bank.test mx.bank.test TLSv1.3"},
		{"clear", []string{sent}, "4Q1 bank.test mx.bank.test clear"},
		{"several recipients", []string{tls13, sent, strings.Replace(sent, "ann", "bob", 1)},
			"4Q1 bank.test mx.bank.test TLSv1.3|4Q1 bank.test mx.bank.test TLSv1.3"},
		{"the next message in clear", []string{tls13, sent, strings.Replace(sent, "4Q1", "4Q2", 1)},
			"4Q1 bank.test mx.bank.test TLSv1.3|4Q2 bank.test mx.bank.test clear"},
		{"offered and not used", []string{tls13, offer, sent}, "4Q1 bank.test mx.bank.test clear offered"},
		{"handshake failed, then clear", []string{"SSL_connect error to mx.bank.test[127.0.0.2]:25: -1", offer, sent}, "4Q1 bank.test mx.bank.test clear offered failed"},
		{"lost after TLS, then clear", []string{tls13, "4Q1: lost connection with mx.bank.test[127.0.0.2] while performing the EHLO handshake", sent}, "4Q1 bank.test mx.bank.test clear"},
		{"silent after TLS, then clear", []string{tls13, "4Q1: conversation with mx.bank.test[127.0.0.2] timed out while performing the EHLO handshake", sent}, "4Q1 bank.test mx.bank.test clear"},
		{"a recipient refused over TLS, then clear", []string{tls13, refused, "4Q1: lost connection with mx.bank.test[127.0.0.2] while sending DATA command", sent},
			"4Q1 bank.test mx.bank.test unknown deferred|4Q1 bank.test mx.bank.test clear"},
		{"more recipients of the same message, over another connection", []string{tls13, sent, strings.Replace(sent, "delays=0.1/0/0.1/0", "delays=0.1/0.1/0.1/0", 1)},
			"4Q1 bank.test mx.bank.test TLSv1.3|4Q1 bank.test mx.bank.test clear"},
		{"3.11, more recipients in clear", []string{tls13, strings.Replace(sent, "dsn=", "tls=may, dsn=", 1), strings.Replace(sent, "dsn=", "tls=may:none, dsn=", 1)},
			"4Q1 bank.test mx.bank.test TLSv1.3|4Q1 bank.test mx.bank.test clear"},
		{"greeting refused by the first host", []string{tls13, "4Q1: host mx.bank.test[127.0.0.2] said: 450 no (in reply to MAIL FROM command)", tls13b, other.Replace(sent)}, "4Q1 bank.test mx2.bank.test TLSv1.2"},
		{"a recipient refused for now", []string{tls13, "4Q1: host mx.bank.test[127.0.0.2] said: 450 no (in reply to RCPT TO command)", sent}, "4Q1 bank.test mx.bank.test TLSv1.3"},
		{"reused in clear", []string{strings.Replace(sent, "delay=", "conn_use=3, delay=", 1)}, "4Q1 bank.test mx.bank.test clear reused"},
		{"a recipient refused for now, in a line that was cut", []string{tls13, "4Q1: host mx.bank.test[127.0.0.2] said: 450 no no no", sent}, "4Q1 bank.test mx.bank.test unknown"},
		{"a line that was cut, then TLS", []string{tls13, "4Q1: host mx.bank.test[127.0.0.2] said: 450 no no no", tls13, sent}, "4Q1 bank.test mx.bank.test TLSv1.3"},
		{"another relay's TLS", []string{tls13b, sent}, "4Q1 bank.test mx.bank.test clear"},
		{"held", []string{held}, "4Q1 bank.test mx.bank.test unknown deferred not-offered"},
		{"suspended", []string{suspend}, "4Q2 bank.test  unknown deferred not-offered suspended"},
		{"the second host is down", []string{notTLS, down}, "4Q1 bank.test  unknown deferred skipped=mx.bank.test"},
		{"a handshake failed, the second host is down", []string{"SSL_connect error to mx.bank.test[127.0.0.2]:25: -1", "4Q1: Cannot start TLS: handshake failure", down}, "4Q1 bank.test  unknown deferred handshake"},
		{"TLS ends early, of a message that waited", []string{tls13, endedTLS}, "4Q1 bank.test mx.bank.test unknown deferred ended"},
		{"the same by a time-out", []string{tls13, strings.Replace(endedTLS, "lost connection with mx.bank.test[127.0.0.2] while", "conversation with mx.bank.test[127.0.0.2] timed out while", 1)}, "4Q1 bank.test mx.bank.test unknown deferred ended"},
		{"the same of a new message", []string{tls13, strings.Replace(endedTLS, "=300/", "=299/", 1)}, "4Q1 bank.test mx.bank.test unknown deferred"},
		{"the same without TLS", []string{endedTLS}, "4Q1 bank.test mx.bank.test unknown deferred"},
		{"the same by the words of the server", []string{tls13, strings.Replace(endedTLS, "(lost", "(host mx.bank.test[127.0.0.2] said: 450 lost", 1)}, "4Q1 bank.test mx.bank.test unknown deferred"},
		{"TLS ends early, the second host is down", []string{tls13, "4Q1: lost connection with mx.bank.test[127.0.0.2] while performing the EHLO handshake", strings.Replace(down, "=0.1/", "=300/", 1)}, "4Q1 bank.test  unknown deferred ended"},
		{"no TLS ends early, the second host is down", []string{"4Q1: lost connection with mx.bank.test[127.0.0.2] while performing the EHLO handshake", strings.Replace(down, "=0.1/", "=300/", 1)}, "4Q1 bank.test  unknown deferred"},
		{"TLS ends early, the second host takes it, and defers the next", []string{tls13, "4Q1: lost connection with mx.bank.test[127.0.0.2] while performing the EHLO handshake", tls13b, other.Replace(sent), strings.Replace(down, "4Q1", "4Q2", 1)},
			"4Q1 bank.test mx2.bank.test TLSv1.2|4Q2 bank.test  unknown deferred"},
		{"second host", []string{notTLS, tls13b, other.Replace(sent)}, "4Q1 bank.test mx2.bank.test TLSv1.2 skipped=mx.bank.test"},
		{"failed handshake", []string{strings.Replace(held, "TLS is required, but was not offered by host mx.bank.test[127.0.0.2]", "Cannot start TLS: handshake failure", 1)}, "4Q1 bank.test mx.bank.test unknown deferred handshake"},
		{"a reply that plays Postfix", []string{tls13, strings.Replace(sent, "250 2.0.0 Ok", "250 x, status=deferred (TLS is required, but ", 1)}, "4Q1 bank.test mx.bank.test TLSv1.3"},
		{"the same by a refusal", []string{"4Q1: to=<a@b.test>, relay=mx[1.2.3.4]:25, delay=1, delays=0/0/0/1, dsn=4.0.0, status=deferred (host mx[1.2.3.4] said: 450 TLS is required, but no (in reply to RCPT TO command))"}, "4Q1 b.test mx unknown deferred"},
		{"3.11, fallback", []string{tls13, strings.Replace(sent, "dsn=", "tls=may:none, dsn=", 1)}, "4Q1 bank.test mx.bank.test clear"},
		{"3.11, TLS", []string{tls13, strings.Replace(sent, "dsn=", "tls=may, dsn=", 1)}, "4Q1 bank.test mx.bank.test TLSv1.3"},
		{"3.11, TLS, and the sender asked for more", []string{tls13, strings.Replace(sent, "dsn=", "tls=may/requiretls:none, dsn=", 1)}, "4Q1 bank.test mx.bank.test TLSv1.3"},
		{"3.11, the same in clear", []string{tls13, strings.Replace(sent, "dsn=", "tls=may:none/requiretls:none, dsn=", 1)}, "4Q1 bank.test mx.bank.test clear"},
		{"3.11, the line of TLS is lost", []string{strings.Replace(sent, "dsn=", "tls=may, dsn=", 1)}, "4Q1 bank.test mx.bank.test unknown"},
		{"a line of TLS that was cut behind the version", []string{tls13[:strings.Index(tls13, " with cipher")], sent}, "4Q1 bank.test mx.bank.test unknown"},
		{"TLS, then a handshake that failed, then clear", []string{tls13, "4Q1: Cannot start TLS: handshake failure", sent}, "4Q1 bank.test mx.bank.test clear"},
		{"TLS, by a version that writes more behind the relay", []string{strings.Replace(tls13, ":25:", ":25 to x:", 1), sent}, "4Q1 bank.test mx.bank.test TLSv1.3"},
		{"a message of one word", []string{tls13, "x", sent}, "4Q1 bank.test mx.bank.test TLSv1.3"},
		{"no recipient", []string{tls13, strings.Replace(sent, "ann@bank.test", "", 1), next}, "4Q1  mx.bank.test TLSv1.3|4Q2 bank.test mx.bank.test clear"},
		{"a recipient without a name", []string{tls13, strings.Replace(sent, "ann@", `""@`, 1), next}, "4Q1 bank.test mx.bank.test TLSv1.3|4Q2 bank.test mx.bank.test clear"},
		{"more recipients, later in the session", []string{tls13, sent, strings.Replace(sent, "0.1/0/0.1/0", "0.1/0/0.1/5", 1)},
			"4Q1 bank.test mx.bank.test TLSv1.3|4Q1 bank.test mx.bank.test TLSv1.3"},
		{"more recipients, over a connection that took longer", []string{tls13, sent, strings.Replace(sent, "0.1/0/0.1/0", "0.1/0/0.2/0", 1)},
			"4Q1 bank.test mx.bank.test TLSv1.3|4Q1 bank.test mx.bank.test clear"},
		{"a handshake failed, the second host takes it", []string{"4Q1: Cannot start TLS: handshake failure", tls13b, other.Replace(sent)}, "4Q1 bank.test mx2.bank.test TLSv1.2"},
		{"handshake failed, then clear, then clear at once", []string{"SSL_connect error to mx.bank.test[127.0.0.2]:25: -1", offer, sent, next},
			"4Q1 bank.test mx.bank.test clear offered failed|4Q2 bank.test mx.bank.test clear"},
		{"orig_to", []string{tls13, strings.Replace(sent, "relay=", "orig_to=<root>, relay=", 1)}, "4Q1 bank.test mx.bank.test TLSv1.3"},
		{"a recipient that plays Postfix", []string{tls13, strings.Replace(sent, "<ann@bank.test>", `<"x@bank.test>, relay=mx.bank.test[192.0.2.1]:25, dsn=4.7.4, status=deferred (TLS is required, but \"was"@evil.test>`, 1)}, "4Q1 evil.test mx.bank.test TLSv1.3"},
		{"orig_to plays Postfix", []string{tls13, strings.Replace(sent, "relay=", `orig_to=<"ann+>, relay=mx2.bank.test[192.0.2.1]:25, dsn=4.7.4, status=deferred (TLS is required, but was"@ours.test>, relay=`, 1)}, "4Q1 bank.test mx.bank.test TLSv1.3"},
		{"orig_to has the text of a refusal", []string{strings.Replace(strings.Replace(sent, "relay=", `orig_to=<"ann+status=deferred (TLS is required, but was"@ours.test>, relay=`, 1), "sent (250", "deferred (450", 1)}, "4Q1 bank.test mx.bank.test unknown deferred"},
		{"the same before Postfix 3.5, which logs no quotes", []string{tls13, strings.Replace(sent, "<ann@", "<x@bank.test>, relay=mx.bank.test[192.0.2.1]:25, dsn=2.0.0, status=sent (250 ok@", 1)}, "4Q1 bank.test mx.bank.test clear doubtful"},
		{"a long line", []string{tls13, strings.Replace(sent, "250 2.0.0", strings.Repeat("2", 901-len(sent)+len("250 2.0.0")), 1), strings.Replace(next, "250 2.0.0", strings.Repeat("2", 900-len(next)+len("250 2.0.0")), 1)},
			"4Q1 bank.test mx.bank.test TLSv1.3 doubtful|4Q2 bank.test mx.bank.test clear"},
		{"a quote that never ends", []string{strings.Replace(sent, "<ann@bank.test>", `<"ann@bank.test>`, 1), `4Q1: to=<"ann\`}, ""},
		{"an address that looks like another line", []string{tls13, strings.Replace(sent, "<ann@bank.test>", `<"ann: to=<"@bank.test>, orig_to=<": to=<"@ours.test>`, 1)}, "4Q1 bank.test mx.bank.test TLSv1.3"},
		{"bounced", []string{strings.Replace(sent, "sent (250", "bounced (550", 1)}, "4Q1 bank.test mx.bank.test unknown bounced"},
		{"a probe", []string{tls13, strings.Replace(sent, "=sent", "=deliverable", 1), next}, "4Q1 bank.test mx.bank.test unknown probe|4Q2 bank.test mx.bank.test clear"},
		{"a line that ends too early", []string{tls13, sent[:60], next}, "4Q2 bank.test mx.bank.test unknown"},
		{"a line that ends in a word", []string{tls13, sent[:strings.Index(sent, "=sent")+3], next}, "4Q2 bank.test mx.bank.test unknown"},
		{"two lines in one", []string{tls13, sent[:60] + mixed, next}, "4Q2 bank.test mx.bank.test unknown"},
		{"two lines in one, cut in the address", []string{tls13, sent[:18] + mixed, next}, "4Q2 bank.test mx.bank.test unknown"},
		{"a line of TLS that ends too early", []string{tls13[:50], sent}, "4Q1 bank.test mx.bank.test unknown"},
		{"a line of TLS without a cipher", []string{tls13[:80], sent}, "4Q1 bank.test mx.bank.test unknown"},
		{"a line of TLS that ends in a word", []string{tls13[:20], sent}, "4Q1 bank.test mx.bank.test unknown"},
		{"two lines of TLS in one", []string{tls13[:50] + "Nov 26 20:00:01 mx postfix/smtp[78]: " + tls13b, sent}, "4Q1 bank.test mx.bank.test unknown"},
		{"an offer that ends too early", []string{tls13, offer[:30], sent}, "4Q1 bank.test mx.bank.test unknown"},
		{"garbage", []string{"", ": ", "4Q1: to=<", "4Q1: to=<a>, relay=", "Untrusted TLS connection established to "}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := &deliveries{}
			d := NewDeliveries(found)
			begin := time.Unix(1_800_000_000, 0)
			d.Gap(begin)
			at := begin.Add(time.Minute)
			for _, line := range tt.lines {
				d.line(at, "postfix/smtp", 77, []byte(line))
			}
			if got := strings.Join(found.all, "|"); got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestAddressWithoutADomain: error(8) is given addresses whose domain is none. That may be
// any text, which no version of Postfix quotes in the log; by sendmail(1) anybody may send to it.
func TestAddressWithoutADomain(t *testing.T) {
	found, at := &deliveries{}, time.Unix(1_800_000_000, 0)
	d := NewDeliveries(found)
	d.Gap(at.Add(-time.Hour))
	for _, line := range []string{
		`4Q3: to=<x@bank.test>, relay=mx.bank.test [192.0.2.1]:25, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok>, orig_to=<x@bank.test>, relay=mx.bank.test[192.0.2.1]:25, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok>, relay=none, delay=0.03, delays=0.01/0.01/0/0.01, dsn=5.1.3, status=bounced (bad address syntax)`,
		`4Q3: to=<x@bank.test>, relay=none, delay=0, delays=0/0/0/0, dsn=4.7.4, status=deferred (TLS is required, but ` + strings.Repeat("x", 1900),
		`4Q3: to=<x@bank.test: to=<y>, relay=none, delay=0.02, delays=0.01/0.01/0/0, dsn=5.1.3, status=bounced (bad address syntax)`,
		suspend,
	} {
		d.line(at, "postfix/error", 78, []byte(line))
	}
	d.line(at, "postfix/smtp", 77, []byte(sent))
	if got := strings.Join(found.all, "|"); got != "4Q2 bank.test  unknown deferred not-offered suspended|4Q1 bank.test mx.bank.test clear" {
		t.Error(got)
	}
}

// TestBeginOfADelivery: what began before lines were lost may have been encrypted. Its
// delays are rounded.
func TestBeginOfADelivery(t *testing.T) {
	for after, want := range map[time.Duration]string{11200 * time.Millisecond: "unknown", 11201 * time.Millisecond: "clear"} {
		var found deliveries
		d, at := NewDeliveries(&found), time.Unix(1_800_000_000, 0)
		d.Gap(at)
		d.line(at.Add(after), "postfix/smtp", 7, []byte(strings.Replace(sent, "0.1/0/0.1/0", "0.1/0/4/6", 1)))
		d.line(at.Add(after), "postfix/qmgr", 8, []byte("4Q1: from=<a@ours.test>, size=1, nrcpt=1 (queue active)"))
		if got := strings.Join(found.all, "|"); got != "4Q1 bank.test mx.bank.test "+want {
			t.Errorf("%s: %s, want %s", after, got, want)
		}
	}
}

// A later attempt of the same process with the same message is another one.
func TestAttemptsAreApart(t *testing.T) {
	found := &deliveries{}
	d := NewDeliveries(found)
	at := time.Unix(1_800_000_000, 0)
	d.Gap(at)
	at = at.Add(time.Minute)
	d.line(at, "postfix/smtp", 77, []byte(tls13))
	d.line(at, "postfix/smtp", 77, []byte(strings.Replace(sent, "sent (250", "deferred (450", 1)))
	d.line(at.Add(5*time.Minute), "postfix/smtp", 77, []byte(sent))
	if got := found.all[1]; got != "4Q1 bank.test mx.bank.test clear" {
		t.Error(got)
	}
}

// What began before lines were lost may have been encrypted.
func TestAfterAGapClearIsUnknown(t *testing.T) {
	found := &deliveries{}
	d := NewDeliveries(found)
	at := time.Unix(1_800_000_000, 0)
	line := strings.Replace(sent, "delays=0.1/0/0.1/0", "delays=0.1/0/3/2", 1)
	d.line(at, "postfix/smtp", 77, []byte(line))
	d.line(at.Add(6*time.Second), "postfix/smtp", 78, []byte(line))
	d.line(at.Add(9*time.Second), "postfix/smtp", 79, []byte(line))
	d.line(at.Add(9*time.Second), "systemd-journald", 1, []byte("Suppressed 12 messages from postfix.service"))
	d.line(at.Add(10*time.Second), "postfix/smtp", 80, []byte(line))
	d.line(at.Add(10*time.Second), "postfix/smtp", 81, []byte(tls13))
	d.line(at.Add(10*time.Second), "postfix/smtp", 81, []byte(line))
	want := "unknown unknown clear unknown TLSv1.3"
	var got []string
	for _, s := range found.all {
		got = append(got, strings.Fields(s)[3])
	}
	if strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// A connection that was encrypted before lines were lost may have ended in them,
// and the delivery have gone over another one.
func TestAfterAGapTLSIsUnknown(t *testing.T) {
	var out deliveries
	d, at := NewDeliveries(&out), time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	d.Gap(at.Add(-time.Hour))
	d.line(at, "postfix/smtp", 7, []byte(tls13))
	d.line(at.Add(time.Second), "systemd-journald", 1, []byte("Suppressed 12 messages from postfix.service"))
	d.line(at.Add(10*time.Second), "postfix/smtp", 7, []byte(sent))
	d.line(at.Add(11*time.Second), "postfix/smtp", 7, []byte(tls13))
	d.line(at.Add(12*time.Second), "postfix/smtp", 7, []byte(strings.Replace(sent, "4Q1", "4Q2", 1)))
	if got, want := strings.Join(out.all, "|"), "4Q1 bank.test mx.bank.test unknown|4Q2 bank.test mx.bank.test TLSv1.3"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestProcessesAreBounded(t *testing.T) {
	found := &deliveries{}
	d := NewDeliveries(found)
	at := time.Unix(1_800_000_000, 0)
	for pid := range uint32(3 * maxClients) {
		d.line(at, "postfix/smtp", pid, []byte(tls13))
	}
	if n := len(d.hosts["mx"].processes); n > maxClients {
		t.Errorf("%d processes", n)
	}
	for n := range uint32(3 * maxClients) {
		d.Line(&Line{At: at, Host: fmt.Sprint(n % 4), Program: "postfix/smtp", PID: n, Message: []byte(tls13)})
	}
	kept := 0
	for _, s := range d.hosts {
		kept += len(s.processes)
	}
	if kept > maxClients || kept != d.clients {
		t.Errorf("%d processes of all hosts, counted as %d", kept, d.clients)
	}
	for n := range 3 * maxSenders { // a log server takes any name
		d.Line(&Line{At: at, Host: fmt.Sprint(n), Program: "postfix/smtp", PID: 1, Message: []byte(tls13)})
	}
	if d.Hosts() > maxSenders {
		t.Errorf("%d hosts", d.Hosts())
	}
}

// TestForgottenIsNotClear: a large mail takes minutes, and many processes may come
// and go meanwhile.
func TestForgottenIsNotClear(t *testing.T) {
	var found deliveries
	d, at := NewDeliveries(&found), time.Unix(1_800_000_000, 0)
	d.Gap(at.Add(-time.Hour))
	line := func(at time.Time, pid uint32, message string) {
		d.Line(&Line{At: at, Host: "mx", Program: "postfix/smtp", PID: pid, Message: []byte(message)})
	}
	line(at, 0, tls13)
	line(at, 1, tls13)
	for pid := range uint32(maxClients - 1) {
		line(at.Add(2*time.Minute), 2+pid, tls13)
	}
	long := strings.Replace(sent, "delays=", "delays=0/0/1/180, was=", 1)
	line(at.Add(3*time.Minute), 1, long)
	if got := strings.Join(found.all, "|"); !strings.HasSuffix(got, "unknown") {
		t.Error(got, long)
	}
}

// TestHostsAreApart: in the log of several hosts processes of the same number are
// different ones.
func TestHostsAreApart(t *testing.T) {
	var found deliveries
	d, at := NewDeliveries(&found), time.Unix(1_800_000_000, 0)
	d.Gap(at.Add(-time.Hour))
	for _, line := range []string{"mx1 " + tls13, "mx2 " + sent, "mx1 " + sent} {
		host, message, _ := strings.Cut(line, " ")
		d.Line(&Line{At: at, Host: host, Program: "postfix/smtp", PID: 7, Message: []byte(message)})
	}
	if got, want := strings.Join(found.all, "|"), "4Q1 bank.test mx.bank.test clear|4Q1 bank.test mx.bank.test TLSv1.3"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestLevelsOfConnections(t *testing.T) {
	for line, want := range map[string]tlsstate.Level{
		"Anonymous TLS connection established to h[::1]:25: TLSv1 with cipher ECDHE-RSA-AES256-SHA (256/256 bits)":            tlsstate.Weak,
		"Verified TLS connection established to h[::1]:25: TLSv1.2 with cipher AES256-SHA (256/256 bits)":                     tlsstate.Weak,
		"Verified TLS connection established to h[::1]:25: TLSv1.2 with cipher NULL-SHA256 (0/0 bits)":                        tlsstate.Plaintext,
		"Trusted TLS connection established to h[::1]:25: TLSv1.3 with cipher X (1/1 bits) key-exchange X25519 server: y (z)": tlsstate.TLS13,
	} {
		relay, s, _, ok := tlsLine([]byte(line))
		if relay != "h[::1]:25" || s.Level != want || !ok {
			t.Errorf("%s: %s, %v, %v", line, relay, s, ok)
		}
	}
}

// Deliveries of several hosts are separated, in every form of a log, and come
// in one pass with the sessions of the receiving side.
func TestReadDeliveries(t *testing.T) {
	lines := []string{
		"mx1 postfix/smtp[7]: " + tls13, "mx2 postfix/smtp[7]: " + offer,
		"mx1 postfix/smtp[7]: " + strings.Replace(sent, "0.1/0/0.1/0", "0.1/0/0.1/40", 1),
		"mx2 postfix/smtp[7]: " + sent, "mx1 postfix/qmgr[9]: 4Q1: removed", "mx1 postfix/error[8]: " + suspend,
		"mx1 postfix/smtpd[3]: connect from a[192.0.2.1]", "mx1 postfix/tlsproxy[7]: " + tls13,
		"mx1 systemd-journald[1]: Suppressed 12 messages from postfix.service", "mx1 postfix/smtp[7]: " + strings.Replace(sent, "0.1/0/0.1/0", "0.1/0/0.1/17", 1),
		"mx1 postfix/smtp[7]: " + strings.Replace(sent, "0.1/0/0.1/0", "0.1/0/0.1/10", 1),
	}
	want := "4Q1 bank.test mx.bank.test TLSv1.3|4Q1 bank.test mx.bank.test clear offered|4Q1 removed|4Q2 bank.test  unknown deferred not-offered suspended" +
		"|4Q1 bank.test mx.bank.test unknown|4Q1 bank.test mx.bank.test clear"
	var plain, objects strings.Builder
	for n, line := range lines {
		at := time.Date(2026, time.November, 22, 10, 0, 20*n, 0, time.UTC)
		plain.WriteString(at.Format(time.Stamp) + " " + line + "\n")
		host, rest, _ := strings.Cut(line, " ")
		tag, message, _ := strings.Cut(rest, "]: ")
		program, pid, _ := strings.Cut(tag, "[")
		fmt.Fprintf(&objects, `{"__REALTIME_TIMESTAMP":"%d","_HOSTNAME":%q,"SYSLOG_IDENTIFIER":%q,"_PID":%q,"MESSAGE":%q}`+"\n", at.UnixMicro(), host, program, pid, message)
	}
	for name, text := range map[string]string{"plain": plain.String(), "JSON": objects.String()} {
		var got deliveries
		stats, err := Read(t.Context(), []Source{{Name: "-", Stream: strings.NewReader(text)}},
			Options{Now: time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC)},
			Sink{Session: func(*Session) {}, Deliveries: &got})
		if err != nil || strings.Join(got.all, "|") != want || stats.Smtpd != 1 || len(stats.Listeners) != 1 {
			t.Errorf("%s: %v, %+v\n%s\nwant\n%s", name, err, stats, strings.Join(got.all, "|"), want)
		}
	}
}

// The log is what a real Postfix wrote (3.7.11) when it sent to hosts of 14 kinds,
// in test/e2e: what they received is in the test. Its first line is added: that
// the first deliveries were in clear is only known where the log began before.
func TestGoldenDeliveries(t *testing.T) {
	file, err := os.Open("testdata/sending.log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var got deliveries
	if _, err := Read(t.Context(), []Source{{Name: "sending.log", Stream: file}},
		Options{Now: time.Date(2026, time.November, 26, 12, 0, 0, 0, time.UTC)},
		Sink{Session: func(*Session) {}, Deliveries: &got}); err != nil {
		t.Fatal(err)
	}
	uses := map[string]int{}
	for _, line := range got.all {
		if words := strings.Fields(line); len(words) > 3 && !strings.Contains(line, "deferred") && !strings.Contains(line, "bounced") {
			uses[words[3]]++
		}
	}
	truth := map[string]int{"TLSv1.3": 20, "TLSv1.2": 12, "weak": 6, "clear": 44}
	if !maps.Equal(uses, truth) {
		t.Errorf("%v, want %v", uses, truth)
	}
}

// TestLineOfAnotherDelivery: a line about TLS that is older than the delivery is that of
// one whose end was lost. Nothing is concluded from it.
func TestLineOfAnotherDelivery(t *testing.T) {
	for delays, want := range map[string]string{"0.1/0/0.1/0": "unknown", "0.1/0/8/0": "unknown", "0.1/0/9/0": "TLSv1.3", "0.1/0/0.1/10": "TLSv1.3"} {
		var found deliveries
		d, at := NewDeliveries(&found), time.Unix(1_800_000_000, 0)
		d.Gap(at.Add(-time.Hour))
		d.line(at, "postfix/smtp", 7, []byte(tls13))
		d.line(at.Add(10*time.Second), "postfix/smtp", 7, []byte(strings.Replace(sent, "0.1/0/0.1/0", delays, 1)))
		if got := strings.Join(found.all, "|"); got != "4Q1 bank.test mx.bank.test "+want {
			t.Errorf("%s: %s, want %s", delays, got, want)
		}
	}
}
