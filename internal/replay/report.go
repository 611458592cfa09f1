package replay

import (
	"fmt"
	"slices"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/maillog"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// Report is what a policy would have done to the mail of a log. Its JSON is
// what tlsratchet replay --json prints; keys are added, never changed.
type Report struct {
	maillog.Stats
	// Policy is the one that was tried.
	Policy tlsstate.Policy `json:"policy"`

	// Levels are the judged sessions by level, the best first.
	Levels []LevelCount `json:"levels"`
	// Judged is all of them, and Encrypted the share of their messages that
	// came encrypted, 0 to 1.
	Judged    Count   `json:"judged"`
	Encrypted float64 `json:"encrypted"`
	// Not judged: sessions whose TLS state is not known (Reasons counts them by
	// why), of clients that logged in, of exempt peers, of clients without a
	// readable address; and what the log's Returned and Future are.
	Unknown       Count          `json:"unknown"`
	Reasons       map[string]int `json:"unknown_reasons,omitempty"`
	Authenticated Count          `json:"authenticated"`
	Exempt        Count          `json:"exempt"`
	Unreadable    Count          `json:"unreadable"`

	// Peers are the identities seen, and those of them with a pin that holds
	// on the last day.
	Peers Peers `json:"peers"`
	// Incidents are in the order of their beginning.
	Incidents []*Incident `json:"incidents"`
	// Actions are what downgrades would have met, the strongest first.
	Actions []ActionCount `json:"actions"`
	// OwnFault is how many messages of incidents look like our own fault.
	OwnFault int `json:"own_fault"`

	// Sent is about our own mail; nil if the log has none.
	Sent *Sent `json:"sent,omitempty"`

	// Warnings are what to know before believing the rest; Summary is the last
	// sentence.
	Warnings []string `json:"warnings,omitempty"`
	Summary  string   `json:"summary"`
}

// Count is sessions and their messages.
type Count struct {
	Sessions int `json:"sessions"`
	Messages int `json:"messages"`
}

// LevelCount is the count of one level.
type LevelCount struct {
	Level tlsstate.Level `json:"level"`
	Count
}

// Peers counts identities.
type Peers struct {
	Addresses       int `json:"addresses"`
	AddressesPinned int `json:"addresses_pinned"`
	Domains         int `json:"domains"`
	DomainsPinned   int `json:"domains_pinned"`
}

// ActionCount is what one action would have met.
type ActionCount struct {
	Action   tlsstate.Action `json:"action"`
	Messages int             `json:"messages"`
	Peers    int             `json:"peers"`
}

// warn gathers what to know before believing the rest.
func (r *Report) warn(gateways map[string]int) {
	for addr, n := range gateways {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s sent mail in %s. It is a private address, so it is a gateway, a proxy or a NAT in front of many clients: nothing it sends is judged. If it is a real peer, name it in judge_networks; else have the clients' own addresses reach Postfix.", addr, words.Count(n, "session")))
	}
	slices.Sort(r.Warnings)
	for _, err := range r.Problems {
		r.Warnings = append(r.Warnings, clean.Text(err.Error(), maxText))
	}
	for _, l := range r.Listeners {
		name := l.Host + " " + l.Service
		switch {
		case l.TLS > 0 || l.Messages == 0:
		case l.StartTLS > 0:
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s: STARTTLS worked %s, but no line has the TLS version: set smtpd_tls_loglevel = 1 in main.cf. Nothing was learned there.", name, words.Count(l.StartTLS, "time")))
		default:
			r.Warnings = append(r.Warnings, name+": no line is about TLS. Either STARTTLS is not offered there, or smtpd_tls_loglevel = 1 is missing in main.cf. Nothing was learned there.")
		}
	}
	if r.Broken > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s of %s of smtpd could not be read: cut, or mixed up.", words.Number(r.Broken), words.Count(r.Smtpd, "line")))
	}
	if r.Gaps > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("The log server dropped lines (it noted that in %s): raise the rate limit of the journal, rsyslog or syslog-ng.", words.Count(r.Gaps, "line")))
	}
	if r.Future > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("Left out, as dated later than tomorrow: %s. Check the clock, or --year.", words.Count(r.Future, "session")))
	}
}

// clip makes a name of the log fit to be shown.
func clip(s string) string { return clean.Text(s, maxName) }

const (
	maxName = 255
	maxText = 500
)
