package daemon

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/clean"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/internal/statefile"
	"tlsratchet/internal/words"
)

// notices tell of the breaker and of our own STARTTLS, and keep what is open
// over a restart.
type notices struct {
	alerts *alert.Alerts
	log    *slog.Logger

	mu    sync.Mutex // one at a time: the file says what was told last
	state statefile.File
}

func (n *notices) tell(all ...alert.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range all {
		n.alerts.Notice(one)
	}
	if err := n.state.Write(n.alerts.Matters()); err != nil {
		n.log.Error("what was told was not kept: it is told again after a restart", "error", err)
	}
}

// ownKeys is what the keys of the self-check's notices begin with.
const ownKeys = "own-"

// told reads what was told before the start. Without a self-check nobody would
// tell that what it found is over.
func openMatters(state statefile.File, checks bool, log *slog.Logger) (open []alert.Matter) {
	var all []alert.Matter
	if err := state.Read(&all); err != nil {
		log.Warn("what was told before is not known", "error", err)
		return nil
	}
	for _, m := range all {
		if m.Message != nil && (checks || !strings.HasPrefix(m.Message.Key, ownKeys)) {
			open = append(open, m)
		}
	}
	return open
}

// tripped is told of each new answer of the breaker. What it rests on is tried
// out first: the answer may be another then, which comes after this one and is
// told instead. That our own TLS works again the self-check tells.
func (w *watch) tripped(s ratchet.BreakerState) {
	w.lookSince(s.Began)
	if w.breaker.State(time.Now()).Answer != s.Answer {
		return
	}
	level := slog.LevelError
	if s.Answer == ratchet.Armed || s.Repaired() {
		level = slog.LevelInfo
	}
	w.log.Log(context.Background(), level, "circuit breaker", "answer", s.Answer.String(), "domains", len(s.Recent), "meaning", words.Breaker(&s))
	if !s.Repaired() {
		w.notices.tell(breakerNotice(s, w.check.Last()))
	}
}

// breakerNotice is critical unless the self-check tells of the same: our own
// STARTTLS that it found broken is one matter, and its notice the critical one.
func breakerNotice(s ratchet.BreakerState, r selfcheck.Result) alert.Notice {
	n := alert.BreakerNotice(s, cause(r))
	if s.Answer == ratchet.Suspended && broken(r.Problem(r.At)) {
		n.Severity = alert.Warning
	}
	return n
}

func broken(p selfcheck.Problem) bool { return p > selfcheck.CertificateExpires }

// cause is what the self-check found wrong, or "".
func cause(r selfcheck.Result) string {
	switch {
	case r.Err != nil:
		return clean.Text(r.Err.Error(), 255)
	case r.Problem(r.At) == selfcheck.CertificateInvalid:
		return "the certificate of our own MX is not valid now"
	}
	return ""
}

// ownTLS is told what the self-check finds first, and when our own STARTTLS
// begins or ceases to be a problem.
func (w *watch) ownTLS(n selfcheck.Notice) {
	level := slog.LevelError
	if n.Problem == selfcheck.OK {
		level = slog.LevelInfo
	}
	w.log.Log(context.Background(), level, "self-check", "state", n.Problem.String(), "meaning", clean.Text(n.String(), 600))
	w.notices.tell(selfcheckNotices(n)...)
}

// ownWords are the titles of what may be wrong with our own STARTTLS.
var ownWords = map[selfcheck.Problem]string{
	selfcheck.NotOffered:         "our own STARTTLS is not offered",
	selfcheck.HandshakeFails:     "our own STARTTLS is offered, but it fails",
	selfcheck.CertificateInvalid: "the certificate of our own STARTTLS is not valid now",
	selfcheck.CertificateExpires: "the certificate of our own STARTTLS ends soon",
}

// selfcheckNotices tell of our own STARTTLS, and of its certificate's end: two
// matters, so that whoever is told of the critical one alone is told that it is
// over. After a start both may be over for long.
func selfcheckNotices(n selfcheck.Notice) (all []alert.Notice) {
	const meanwhile = "\nOnce many pinned peers come without TLS for that, nothing is refused any more until it works: see tlsratchet breaker."
	for _, m := range []struct {
		key         string
		severity    alert.Severity
		is          func(selfcheck.Problem) bool
		over, hints string
	}{
		{ownKeys + "starttls", alert.Critical, broken, "our own STARTTLS works again", meanwhile},
		{ownKeys + "certificate", alert.Warning, func(p selfcheck.Problem) bool { return p == selfcheck.CertificateExpires }, "the certificate of our own STARTTLS: that it ends soon is over", ""},
	} {
		notice := alert.Notice{
			Key: m.key, Severity: m.severity, At: n.Result.At, Title: ownWords[n.Problem], Text: n.String() + m.hints,
			Next: []string{"tlsratchet doctor"},
		}
		if !m.is(n.Problem) {
			notice.Resolved, notice.Title, notice.Text = true, m.over, n.String()
		}
		if !notice.Resolved || m.is(n.Before) || n.Before == selfcheck.Unknown {
			all = append(all, notice)
		}
	}
	return all
}
