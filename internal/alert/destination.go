package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
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
	// Kind is one of the four.
	Kind string
	// Least is the lowest severity that it gets.
	Least Severity

	// URL is where a webhook, or the Alertmanager, is: http or https; or a
	// reference to it, as [Secret] takes them. A webhook's URL may hold {id}: it
	// is then sent by PUT, with the message's ID in that place.
	URL string
	// Secret refers to the key of a webhook's signature (HMAC-SHA256); "" for
	// none.
	Secret string
	// Token refers to a bearer token; "" for none.
	Token string
	// Body is the file of a webhook's template; "" for the JSON of [Message].
	Body string

	// Server is the host:port that takes mail.
	Server string
	// To are the recipients, From the address in the From header: "" for
	// tlsratchet at this host.
	To   []string
	From string
}

// Destination receives messages.
type Destination struct {
	// Name identifies it in logs and metrics. It holds no secret.
	Name  string
	Least Severity

	sender  sender
	timeout time.Duration
}

// sender sends a message, and returns the answer.
type sender interface {
	send(context.Context, *Message) (answer string, err error)
}

// repeater is a sender that is sent every minute what is open.
type repeater interface {
	repeat(ctx context.Context, now time.Time, open []*Message) error
}

// Environment is what destinations need of the process.
type Environment struct {
	// Host is this host's name.
	Host string
	// Getenv finds variables: [os.LookupEnv].
	Getenv func(string) (string, bool)
	// Log is what a destination of kind log writes to.
	Log *slog.Logger
}

// How long one delivery may take, all tries together.
const (
	httpTimeout = 5 * time.Second
	mailTimeout = 30 * time.Second
)

// NewDestination makes a destination: it reads secrets and tries a template. The
// error names the bad setting and holds no secret.
func NewDestination(s Settings, env Environment) (d *Destination, err error) {
	d = &Destination{Name: s.Kind, Least: s.Least, timeout: httpTimeout}
	switch s.Kind {
	case KindLog:
		d.sender = logSender{env.Log}
	case KindWebhook:
		var w *webhook
		if w, err = newWebhook(s, env); err == nil {
			d.sender, d.Name = w, s.Kind+" "+w.place()
		}
	case KindAlertmanager:
		var a *alertmanager
		if a, err = newAlertmanager(s, env); err == nil {
			d.sender, d.Name = a, s.Kind+" "+a.place()
		}
	case KindMail:
		var m *mailer
		if m, err = newMailer(s, env); err == nil {
			d.sender, d.Name, d.timeout = m, s.Kind+" "+m.server, mailTimeout
		}
	default:
		err = fmt.Errorf("unknown kind %.32q: use log, webhook, alertmanager or mail", s.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("alerts to %.32s: %w", s.Kind, err)
	}
	return d, nil
}

// NewDestinations makes those whose settings and secrets are right; the error
// says what is wrong with each of the others.
func NewDestinations(all []Settings, env Environment) ([]*Destination, error) {
	var ds []*Destination
	var errs []error
	times := make(map[string]int)
	for _, s := range all {
		d, err := NewDestination(s, env)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if times[d.Name]++; times[d.Name] > 1 {
			d.Name = fmt.Sprintf("%s (%d)", d.Name, times[d.Name])
		}
		ds = append(ds, d)
	}
	return ds, errors.Join(errs...)
}

// wants reports whether the destination gets messages of a severity.
func (d *Destination) wants(s Severity) bool { return s >= d.Least }
