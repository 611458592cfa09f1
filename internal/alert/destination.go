package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/loop"
)

// The kinds of destination.
const (
	KindLog          = "log"
	KindWebhook      = "webhook"
	KindAlertmanager = "alertmanager"
	KindMail         = "mail"
)

// Settings are the configuration of one destination.
type Settings struct {
	// Kind is one of the four, Least the lowest severity that it gets: info
	// unless set.
	Kind, Least string

	// URL is where a webhook, or the Alertmanager, is: http or https; or a
	// reference to it, as [secret] takes them. A webhook's URL may hold {id}: it
	// is then sent by PUT, with the message's ID in that place. Secret refers to
	// the key of a webhook's signature (HMAC-SHA256), Token to a bearer token; ""
	// for none. Body is the file of a webhook's template; "" for the JSON of
	// [Message].
	URL, Secret, Token, Body string

	// Server is the host:port that takes mail, To are the recipients, at least one,
	// From is the address in the From header: "" for tlsratchet at this host. They
	// are not checked here.
	Server string
	To     []string
	From   string
}

// Destination receives messages.
type Destination struct {
	// Name identifies it in logs and metrics. It holds no secret.
	Name  string
	Least Severity

	// try tries once to send messages, and returns the answer. They are one, but for
	// a destination that repeats. An error is final unless it is [temporary].
	try     func(context.Context, ...*Message) (answer string, err error)
	timeout time.Duration
	// encrypted: mail to it went over TLS, and must from now on.
	encrypted atomic.Bool
	// repeats: it is sent every minute what is open, and no digests.
	repeats bool
}

// How long one delivery may take, all tries together.
const (
	httpTimeout = 5 * time.Second
	mailTimeout = 30 * time.Second
)

// newDestination makes a destination: it reads secrets and tries a template. The
// error names the bad setting and holds no secret.
func newDestination(s Settings, getenv func(string) (string, bool), log *slog.Logger) (*Destination, error) {
	d := &Destination{Name: s.Kind, timeout: httpTimeout, repeats: s.Kind == KindAlertmanager}
	err := d.Least.UnmarshalText([]byte(cmp.Or(s.Least, Info.String())))
	switch {
	case err != nil:
	case s.Kind == KindLog:
		d.try = toLog(log)
	case s.Kind == KindMail:
		d.try, d.timeout = mailer{s.Server, s.From, s.To[0], &d.encrypted}.try, mailTimeout
		d.Name += " " + s.Server + " " + s.To[0]
	case s.Kind == KindWebhook, s.Kind == KindAlertmanager:
		var e *endpoint
		if e, err = newEndpoint(s, getenv); err == nil {
			d.try = e.try
			d.Name += " " + e.place()
		}
	default:
		err = fmt.Errorf("unknown kind %.32q: use log, webhook, alertmanager or mail", s.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("alerts to %.32s: %w", s.Kind, err)
	}
	return d, nil
}

// NewDestinations makes those whose settings and secrets are right, one for each
// recipient of mail: one that is refused for now must not cost its mail, nor the others
// a second one. The error states what is wrong with each of the others. getenv finds
// variables, as [os.LookupEnv]; a destination of kind log writes to log.
func NewDestinations(all []Settings, getenv func(string) (string, bool), log *slog.Logger) ([]*Destination, error) {
	var ds []*Destination
	var errs []error
	times := make(map[string]int)
	for _, s := range all {
		recipients := s.To
		if s.Kind != KindMail {
			recipients = []string{""}
		}
		for _, to := range recipients {
			s.To = []string{to}
			d, err := newDestination(s, getenv, log)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			if times[d.Name]++; times[d.Name] > 1 {
				d.Name = fmt.Sprintf("%s (%d)", d.Name, times[d.Name])
			}
			ds = append(ds, d)
		}
	}
	return ds, errors.Join(errs...)
}

// wants reports whether the destination gets a message.
func (d *Destination) wants(m *Message) bool {
	return m.Severity >= d.Least && !(d.repeats && m.What == WhatDigest)
}

// send sends messages until they are accepted or refused for good, or there is no
// time left.
func (d *Destination) send(ctx context.Context, all ...*Message) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	for n := 0; ; n++ {
		answer, err = d.try(ctx, all...)
		t, temp := errors.AsType[temporary](err)
		wait := max(t.after, backoff(n))
		if end, _ := ctx.Deadline(); !temp || time.Until(end) <= wait || !loop.Pause(ctx, wait) {
			return answer, err
		}
	}
}

// temporary is an error after which the same may be tried again.
type temporary struct {
	error
	// after is how long the server wants us to wait.
	after time.Duration
}

func (t temporary) Unwrap() error { return t.error }

// backoff is how long to wait after so many tries: doubled each time, with
// jitter, so that hosts that fail together don't come back together.
func backoff(try int) time.Duration {
	most := 250 * time.Millisecond << min(try, 10)
	return most/2 + rand.N(most/2)
}

// toLog writes messages to the log, a line each.
func toLog(log *slog.Logger) func(context.Context, ...*Message) (string, error) {
	return func(ctx context.Context, all ...*Message) (string, error) {
		m := all[0]
		level := [...]slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError}[m.Urgency()]
		attrs := []slog.Attr{
			slog.String("key", m.Key), slog.String("what", m.What), slog.String("severity", m.Severity.String()),
			slog.String("title", m.Title), slog.String("text", strings.ReplaceAll(m.Text, "\n", " ")),
		}
		if len(m.Next) > 0 {
			attrs = append(attrs, slog.String("next", strings.Join(m.Next, "; ")))
		}
		log.LogAttrs(ctx, level, "alert", attrs...)
		return "written", nil
	}
}

// Result is the result of a test message.
type Result struct {
	Destination string
	// Answer is the destination's, clean; Err is nil if it accepted the message.
	Answer string
	Err    error
	Took   time.Duration
}

// Test sends a message to each of the destinations, whatever its least
// severity, and returns the results in their order. It doesn't need [Alerts].
func Test(ctx context.Context, to []*Destination, host string) []Result {
	results := make([]Result, len(to))
	var all sync.WaitGroup
	for i, d := range to {
		all.Go(func() {
			begun := time.Now()
			answer, err := d.send(ctx, testMessage(host))
			results[i] = Result{Destination: d.Name, Answer: answer, Err: err, Took: time.Since(begun)}
		})
	}
	all.Wait()
	return results
}

func testMessage(host string) *Message {
	return Message{
		Key: WhatTest, What: WhatTest, Title: "test alert of tlsratchet",
		Text: "Sent by the command tlsratchet alert test at " + clean.Name(host) + ". No action is needed.",
	}.from(host)
}
