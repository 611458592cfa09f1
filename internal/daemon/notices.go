package daemon

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/clean"
	"tlsratchet/internal/config"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/internal/statefile"
	"tlsratchet/internal/words"
)

// notify reports notices of the breaker, our own STARTTLS and the sending side.
func (w *watch) notify(all ...alert.Message) {
	for _, one := range all {
		w.alerts.Notice(one)
	}
}

// ownKeys is what the keys of the self-check's notices begin with, ownServer their
// titles.
const (
	ownKeys   = "own-"
	ownServer = "STARTTLS of this server: "
)

// alertState reads the alerts' state of the last run. Without a self-check, what
// it had found is left out: nobody would report its end.
func alertState(file statefile.File, checks bool, log *slog.Logger) (s alert.State) {
	s = restore[alert.State](file, "could not read the alert state; alerts may repeat or be lost", log)
	s.Matters = slices.DeleteFunc(s.Matters, func(m alert.Matter) bool {
		return m.Message == nil || !checks && strings.HasPrefix(m.Message.Key, ownKeys)
	})
	return s
}

// tripped gets each new answer of the breaker. What it rests on is tried
// out first: the answer may be another then, which comes after this one and is
// reported instead. The self-check reports that our own TLS works again.
func (w *watch) tripped(ctx context.Context, s ratchet.BreakerState) {
	w.lookSince(ctx, s.Began)
	if w.breaker.State(time.Now()).Answer != s.Answer {
		return
	}
	level := slog.LevelError
	if s.Answer == ratchet.Armed || s.Repaired() {
		level = slog.LevelInfo
	}
	w.log.Log(ctx, level, "circuit breaker", "answer", s.Answer.String(), "domains", len(s.Recent), "meaning", words.Breaker(&s))
	if !s.Repaired() {
		w.notify(breakerNotice(s, w.check.Last()))
	}
}

// breakerNotice is critical unless the self-check reports the same: our own
// STARTTLS that it found broken is one matter, and its notice the critical one.
func breakerNotice(s ratchet.BreakerState, r selfcheck.Result) alert.Message {
	n := alert.BreakerNotice(s, cause(r))
	if s.Answer == ratchet.Suspended && broken(r.Problem(r.At)) {
		n.Severity = alert.Warning
	}
	return n
}

func broken(p selfcheck.Problem) bool { return p > selfcheck.CertificateExpires }

// cause is what the self-check found wrong, or "".
func cause(r selfcheck.Result) string {
	switch p := r.Problem(r.At); {
	case r.Err != nil:
		return clean.Text(r.Err.Error(), 255)
	case broken(p):
		return p.Words()
	}
	return ""
}

// ownTLS gets what the self-check finds first, and when our own STARTTLS
// begins or ceases to be a problem.
func (w *watch) ownTLS(n selfcheck.Notice) {
	level := slog.LevelError
	if n.Problem == selfcheck.OK {
		level = slog.LevelInfo
	}
	w.log.Log(context.Background(), level, "self-check", "state", n.Problem.String(), "meaning", n.String())
	w.notify(selfcheckNotices(n)...)
}

// selfcheckNotices report our own STARTTLS, and its certificate's end: two
// matters, so that whoever gets the critical one alone also learns that it is
// over. That a matter is over which was never reported is left out by the alerts.
func selfcheckNotices(n selfcheck.Notice) (all []alert.Message) {
	add := func(key string, severity alert.Severity, open bool, over string) {
		notice := alert.Message{Key: ownKeys + key, Severity: severity, Status: alert.StatusClosed, At: n.Result.At, Title: ownServer + over, Text: words.Sentence(n.String()), Next: []string{"tlsratchet doctor"}}
		if open {
			notice.Status, notice.Title = alert.StatusOpen, ownServer+n.Problem.Words()
		}
		if n.Problem > selfcheck.CertificateInvalid {
			notice.Text += "\nUntil it works, enforcement may be suspended: see tlsratchet breaker."
		}
		all = append(all, notice)
	}
	add("starttls", alert.Critical, broken(n.Problem), "works again")
	if !broken(n.Problem) { // else nothing is known of another certificate
		add("certificate", alert.Warning, n.Problem == selfcheck.CertificateExpires, "certificate renewed")
	}
	return all
}

// Destinations makes those of the configuration whose secrets, variables and
// templates can be read. The error, a [ConfigError], is about the others.
func Destinations(cfg *config.Config, getenv func(string) (string, bool), log *slog.Logger) ([]*alert.Destination, error) {
	var all []alert.Settings
	if cfg.Alert.Log != config.Off {
		all = append(all, alert.Settings{Kind: alert.KindLog, Least: cfg.Alert.Log})
	}
	made, err := alert.NewDestinations(append(all, cfg.Destinations...), getenv, log)
	if err != nil {
		err = ConfigError{err}
	}
	return made, err
}

// Hostname returns the name of this host, for alerts.
func Hostname() string {
	name, _ := os.Hostname()
	return cmp.Or(name, "localhost")
}
