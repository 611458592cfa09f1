// Package loggen writes Postfix logs that nobody's mail is in: as large as
// wanted, always the same for the same options, with peers that always use TLS,
// that never do, that do at times, and some that are stripped near the end.
package loggen

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// Format is the form of the lines.
type Format string

// The forms.
const (
	// BSD has the time of RFC 3164, without a year.
	BSD Format = "bsd"
	// ISO has that of RFC 3339.
	ISO Format = "iso"
	// JSON is journalctl -o json.
	JSON Format = "json"
)

// Options are what to write.
type Options struct {
	// Lines is how many, at least; the last session is written to its end.
	Lines int
	// Peers is how many clients send mail; 1000 unless set.
	Peers int
	// Start is when the log begins and Days how long it is; from 2026-09-01
	// and 30 unless set.
	Start time.Time
	Days  int
	// Format is BSD unless set.
	Format Format
	// Seed makes another log of the same kind.
	Seed uint64
}

func (o Options) withDefaults() Options {
	if o.Peers == 0 {
		o.Peers = 1000
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2026, time.September, 1, 0, 0, 0, 0, time.UTC)
	}
	if o.Days == 0 {
		o.Days = 30
	}
	if o.Format == "" {
		o.Format = BSD
	}
	return o
}

// Write writes a log.
func Write(w io.Writer, o Options) error {
	o = o.withDefaults()
	g := &generator{
		o: o, w: bufio.NewWriterSize(w, 1<<16), rand: rand.New(rand.NewPCG(o.Seed, 5)),
		at: o.Start, step: time.Duration(o.Days) * 24 * time.Hour / time.Duration(max(o.Lines, 1)),
	}
	for g.lines < o.Lines {
		g.session()
	}
	return g.w.Flush()
}

type generator struct {
	o     Options
	w     *bufio.Writer
	rand  *rand.Rand
	at    time.Time
	step  time.Duration
	lines int
	queue uint64
	text  []byte
}

// peer is a client by its number: nine of ten always encrypt. A few send most of
// the mail, as it is in the world.
type peer struct {
	client    string
	encrypted bool
}

func (g *generator) peer() peer {
	u := g.rand.Float64()
	n := int(u * u * u * float64(g.o.Peers))
	p := peer{client: fmt.Sprintf("mx%d.peer%d.example[198.%d.%d.%d]", n%3, n, 18+n>>16&1, n>>8&255, n&255)}
	switch stripped := g.at.Sub(g.o.Start) > time.Duration(g.o.Days-2)*24*time.Hour; {
	case n%20 == 7:
	case n%20 == 8:
		p.encrypted = g.rand.IntN(2) == 0
	default:
		p.encrypted = n%100 != 1 || !stripped
	}
	return p
}

// session is one delivery, or one of the attempts that come to nothing.
func (g *generator) session() {
	pid := 2000 + g.rand.IntN(80)
	if g.rand.IntN(3) == 0 {
		g.refused(pid)
		return
	}
	p := g.peer()
	g.smtpd(pid, "connect from %s", p.client)
	starttls, ehlo := "", 1
	if p.encrypted {
		version, cipher := "TLSv1.3", "TLS_AES_256_GCM_SHA384"
		if g.rand.IntN(4) == 0 {
			version, cipher = "TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"
		}
		g.smtpd(pid, "Anonymous TLS connection established from %s: %s with cipher %s (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256", p.client, version, cipher)
		starttls, ehlo = " starttls=1", 2
	}
	g.queue++
	id := fmt.Sprintf("4Q%010X", g.queue)
	g.smtpd(pid, "%s: client=%s", id, p.client)
	g.line("postfix/cleanup", 900, "%s: message-id=<%d.%s@peer.example>", id, g.queue, id)
	g.line("postfix/qmgr", 901, "%s: from=<alice@peer.example>, size=%d, nrcpt=1 (queue active)", id, 2000+g.rand.IntN(90000))
	g.smtpd(pid, "disconnect from %s ehlo=%d%s mail=1 rcpt=1 data=1 quit=1 commands=%d", p.client, ehlo, starttls, 5+ehlo)
	g.line("postfix/lmtp", 902+g.rand.IntN(20), "%s: to=<bob@ours.example>, relay=mail.ours.example[private/dovecot-lmtp], delay=0.42, delays=0.3/0.01/0/0.11, dsn=2.0.0, status=sent (250 2.0.0 <bob@ours.example> %s Saved)", id, id)
	g.line("postfix/qmgr", 901, "%s: removed", id)
}

func (g *generator) refused(pid int) {
	client := fmt.Sprintf("unknown[203.0.%d.%d]", g.rand.IntN(256), g.rand.IntN(256))
	g.smtpd(pid, "connect from %s", client)
	g.smtpd(pid, "NOQUEUE: reject: RCPT from %s: 450 4.7.25 Client host rejected: cannot find your hostname, %s; from=<x@spam.example> to=<bob@ours.example> proto=ESMTP helo=<spam.example>", client, client)
	g.smtpd(pid, "disconnect from %s ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4", client)
}

func (g *generator) smtpd(pid int, format string, args ...any) {
	g.line("postfix/smtpd", pid, format, args...)
}

func (g *generator) line(tag string, pid int, format string, args ...any) {
	g.lines++
	g.at = g.at.Add(g.step)
	g.text = fmt.Appendf(g.text[:0], format, args...)
	switch g.o.Format {
	case ISO:
		fmt.Fprintf(g.w, "%s mx1 %s[%d]: %s\n", g.at.Format("2006-01-02T15:04:05.000000-07:00"), tag, pid, g.text)
	case JSON:
		fmt.Fprintf(g.w, "{\"__REALTIME_TIMESTAMP\":\"%d\",\"_HOSTNAME\":\"mx1\",\"SYSLOG_IDENTIFIER\":%q,\"_PID\":\"%d\",\"PRIORITY\":\"6\",\"MESSAGE\":%q}\n",
			g.at.UnixMicro(), tag, pid, g.text)
	default:
		fmt.Fprintf(g.w, "%s mx1 %s[%d]: %s\n", g.at.Format(time.Stamp), tag, pid, g.text)
	}
}
