// Package doctor looks at a mail host as an operator would who knows what
// tlsratchet needs of Postfix: it reads the configuration by postconf(1), asks
// the machine, and says what to change, as a line to paste.
package doctor

// Severity is how bad a finding is.
type Severity string

// The severities. Only Broken makes the command fail.
const (
	Fine   Severity = "ok"
	Note   Severity = "note"
	Broken Severity = "broken"
)

// Finding is what one check found. Fix is a line to paste, or empty.
type Finding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`
	Fix      string   `json:"fix,omitempty"`
}

func fine(check, text string) Finding { return Finding{check, Fine, text, ""} }

func note(check, text, fix string) Finding { return Finding{check, Note, text, fix} }

func broken(check, text, fix string) Finding { return Finding{check, Broken, text, fix} }
