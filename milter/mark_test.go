package milter

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// recorder notes edits, and fails those that begin with fail.
type recorder struct {
	fail string
	did  []string
}

func (r *recorder) edit(text string) error {
	if r.fail != "" && strings.HasPrefix(text, r.fail) {
		return errors.New("no")
	}
	r.did = append(r.did, text)
	return nil
}

func (r *recorder) InsertHeader(i int, _, value string) error {
	return r.edit(fmt.Sprintf("insert at %d, %s", i, strings.TrimPrefix(value[strings.LastIndex(value, ";")+1:], " ")))
}
func (r *recorder) ChangeHeader(i int, _, _ string) error { return r.edit(fmt.Sprintf("delete %d", i)) }
func (r *recorder) Quarantine(string) error               { return r.edit("quarantine") }

// TestMarkComesFirst: the mark and the hold don't wait for forged copies to be
// deleted; no more than 20 are, and the header says how many are left.
func TestMarkComesFirst(t *testing.T) {
	s := session{copies: 8000, Message: inbound.Message{Options: &inbound.Options{}}}
	s.Decision.Verdict = tlsstate.Verdict{Outcome: tlsstate.Downgraded, Kind: tlsstate.Stripped, Action: tlsstate.Quarantine}
	var to recorder
	if err := s.mark(&to); err != nil {
		t.Fatal(err)
	}
	if len(to.did) != 22 || to.did[0] != "insert at 0, forged=7980" || to.did[1] != "quarantine" || to.did[2] != "delete 21" || to.did[21] != "delete 2" {
		t.Errorf("%q", to.did)
	}
	for _, fail := range []string{"insert", "quarantine", "delete"} {
		if err := s.mark(&recorder{fail: fail}); err == nil {
			t.Errorf("%s failed and mark did not", fail)
		}
	}
}

// TestFailedMarkIsNotDone: what failed is not reported as done.
func TestFailedMarkIsNotDone(t *testing.T) {
	for _, outcome := range []tlsstate.Outcome{tlsstate.Downgraded, tlsstate.Steady} {
		u := newUnit(&scripted{decision: ratchet.Decision{Verdict: tlsstate.Verdict{Outcome: outcome, Action: tlsstate.Header}}}, inbound.Options{HeaderAll: true})
		u.MailFrom("ann@bank.example", macros("192.0.2.10", ""))
		u.RcptTo("bob@ours.example", nil)
		u.end(&recorder{fail: "insert"}, "4Q1")
		if len(u.events) != 1 || u.events[0].Done == (outcome == tlsstate.Downgraded) || u.m.Failures() == 0 {
			t.Errorf("%s: %+v", outcome, u.events)
		}
	}
}
