package incident

import (
	"fmt"
	"io"
	"strings"
	"time"

	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// Write writes all of an incident for people, a line for each fact.
func (i *Incident) Write(w io.Writer) {
	line := func(key, format string, args ...any) {
		fmt.Fprintf(w, "  %-15s %s\n", key, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(w, "Incident %d: %s %s\n", i.ID, i.Identity, words.Kind(i.Kind))
	line("first message", "%s", i.Words)
	line("opened", "%s", Stamp(i.Opened))
	line("last message", "%s", Stamp(i.Last))
	if i.IsOpen() {
		line("state", "open")
	} else {
		line("state", "closed %s (%s)", Stamp(i.Closed), i.ClosedBy)
	}
	e := &i.Evidence
	line("expected", "%s", words.Expected(&tlsstate.Verdict{Kind: i.Kind, Required: e.Required, Pin: e.Pin}))
	if e.Since > 0 {
		line("evidence", "pinned since %s, met %s", e.Since, words.On(e.Days, e.Last))
	}
	line("messages", "%d", i.Messages)
	for a, n := range i.Done {
		if n > 0 {
			line("  "+tlsstate.Action(a).String(), "%d", n)
		}
	}
	if i.Undone > 0 {
		line("  not reached", "%d ended before the action", i.Undone)
	}
	for _, c := range i.Clients {
		line("client", "%s", c)
	}
	if len(i.From) > 0 {
		line("sender domains", "%s", strings.Join(i.From, ", "))
	}
	for _, h := range i.Held {
		line("held", "%s, %s", h.QueueID, Stamp(h.At))
	}
}

// Stamp is a time in UTC, to the minute, for people.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }
