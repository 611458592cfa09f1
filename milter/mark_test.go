package milter

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

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
	s := session{m: New(Deps{}, Options{}, slog.New(slog.DiscardHandler)), message: message{options: &Options{}, actionPending: true, copies: 8000}}
	s.decision.Verdict = tlsstate.Verdict{Outcome: tlsstate.Downgraded, Kind: tlsstate.Stripped, Action: tlsstate.Quarantine}
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
	var events []ratchet.Event
	m := New(Deps{Events: func(e ratchet.Event) { events = append(events, e) }}, Options{}, slog.New(slog.DiscardHandler))
	for _, pending := range []bool{true, false} {
		events = nil
		s := session{m: m, message: message{options: &Options{HeaderAll: true}, actionPending: pending, learned: true, rcpt: "bob@ours.example"}}
		s.decision.Action = tlsstate.Header
		s.end(&recorder{fail: "insert"}, "4Q1")
		if len(events) != 1 || events[0].Done == pending || m.Troubles() == 0 {
			t.Errorf("pending %v: %+v", pending, events)
		}
	}
}
