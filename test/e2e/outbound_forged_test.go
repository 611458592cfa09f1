package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tlsratchet/test/posttest"
)

// TestOutboundForged: strangers choose the addresses and the replies that stand in
// Postfix's log. None of it passes for a delivery to somebody else, and what is
// learned of their own hosts is what these saw.
func TestOutboundForged(t *testing.T) {
	const line = `relay=mx.bank.test[192.0.2.1]:25, delay=0, delays=0/0/0/0, dsn=4.7.4, status=deferred (TLS is required, but was`
	s := newOutbox(t, map[string][]string{
		"text.test": {"mx1.text.test", "mx2.text.test"}, "first.test": {"mx.first.test"}, "long.test": {"mx.long.test"},
	})
	forged := " x@bank.test>, " + line + " status=sent ("
	s.sinks["mx1.text.test"].Set(posttest.Behaviour{RefuseMail: true, Text: forged})
	s.sinks["mx2.text.test"].Set(posttest.Behaviour{Text: forged})
	s.sinks["mx.first.test"].Set(posttest.Behaviour{RefuseFirst: true, Text: forged})
	// The log's line is cut. A reply over line_length_limit (2,048) would end the
	// session of newer releases than Postfix 3.7 (docs/postfix-facts.md).
	s.sinks["mx.long.test"].Set(posttest.Behaviour{RefuseFirst: true, Text: " " + strings.Repeat("long ", 395)})
	aSecondLater()
	for n := range 3 {
		for domain := range map[string]bool{"text.test": true, "first.test": true, "long.test": true} {
			s.send(fmt.Sprintf("a%d@%s", n, domain), fmt.Sprintf("b%d@%s", n, domain), fmt.Sprintf(`"%d@bank.test>, %s"@%s`, n, line, domain))
		}
	}
	// What has no domain is refused over SMTP, and bounced where sendmail(1) takes it.
	for _, end := range []string{"status=sent (250", "status=deferred (TLS is required, but was"} {
		to := `x@"bank.test>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, ` + end + `"`
		if out, err := exec.Command("sendmail", "-C", filepath.Join(s.in.Dir(), "etc"), "-f", "ann@ours.example", to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		s.line(`error\[.*to=<x@bank\.test>.*` + regexp.QuoteMeta(end) + `.*bad address syntax`)
	}
	eventually(t, "all mail arrives", func() bool { return s.arrived() == 9+6+6 })
	if got := s.compare(); len(got.held) != 0 {
		t.Errorf("held: %v", got.held)
	}
}
