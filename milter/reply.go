package milter

import (
	"strings"

	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
)

// maxValue is how much of an error's text is logged, in bytes.
const maxValue = 300

// refusal returns the reply of a tempfail or reject for a 'y' packet. % is
// doubled, as the MTA takes the text for a format.
func refusal(d *ratchet.Decision, contact string) string {
	return strings.ReplaceAll(words.Reply(&d.Verdict, d.Action, contact), "%", "%%")
}
