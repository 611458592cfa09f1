// Package doctor checks a mail host: whether Postfix asks tlsratchet, offers
// STARTTLS (RFC 3207) and shows who its peers are; whether the daemon can be
// reached; the state of the memory. It reads Postfix's configuration with
// postconf(1). A fix is a shell command made from the present configuration: it
// changes nothing else.
package doctor

// Severity is how bad a finding is.
type Severity string

// The severities. Only Broken makes the command fail.
const (
	Fine   Severity = "ok"
	Note   Severity = "note"
	Broken Severity = "broken"
)

// Finding is what one check found. Fix is a shell command, or
// empty where only the operator can know what to do.
type Finding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`
	Fix      string   `json:"fix,omitempty"`
}

func fine(check, text string) Finding { return Finding{check, Fine, text, ""} }

func note(check, text, fix string) Finding { return Finding{check, Note, text, fix} }

func broken(check, text, fix string) Finding { return Finding{check, Broken, text, fix} }
