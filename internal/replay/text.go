package replay

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// WriteText writes the report for people, at most 80 columns wide.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	r.head(&b)
	r.counts(&b)
	rows(&b, "Incidents", r.Incidents, func(i *Incident) bool { return i.Fault == "" })
	rows(&b, "Incidents that look like our own fault", r.Incidents, func(i *Incident) bool { return i.Fault != "" })
	if r.Sent != nil {
		r.Sent.writeText(&b)
		rows(&b, "Incidents of our own mail", r.Sent.Incidents, func(*Incident) bool { return true })
	}
	for _, text := range r.Warnings {
		b.WriteString("\n" + wrap("Note: "+text))
	}
	b.WriteString("\n" + wrap(r.Summary))
	_, err := io.WriteString(w, b.String())
	return err
}

const (
	width  = 80
	minute = "2006-01-02 15:04"
)

func (r *Report) head(b *strings.Builder) {
	if r.Began.IsZero() {
		fmt.Fprintf(b, "Log        %s, %s of Postfix's smtpd, none that could be used\n", words.Count(r.Lines, "line"), words.Number(r.Smtpd))
	} else {
		fmt.Fprintf(b, "Log        %s to %s UTC, %s\n", r.Began.Format(minute), r.Ended.Format(minute), words.Count(r.Lines, "line"))
	}
	if len(r.Years) > 0 {
		fmt.Fprintf(b, "           times have no year: %s by the time of the file (or give --year)\n", strings.Trim(fmt.Sprint(r.Years), "[]"))
	}
	if r.Repeated > 0 {
		fmt.Fprintf(b, "           %s read twice, counted once\n", words.Count(r.Repeated, "line"))
	}
	p := &r.Policy
	fmt.Fprintf(b, "Policy     stripped %s, weakened %s, unauthenticated %s\n", p.Stripped, p.Weakened, p.Unauthenticated)
	fmt.Fprintf(b, "           pinned after %s up to %s, released after %d, relaxed after %d;\n", words.Count(p.PinAfterDays, "day"), p.PinUpTo, p.ReleaseAfterDays, p.RelaxAfterDays)
	fmt.Fprintf(b, "           a pin lasts %s; domains are enforced: %s\n", words.Count(p.PinMaxAgeDays, "day"), p.DomainEnforce)
}

func (r *Report) counts(b *strings.Builder) {
	row := func(name string, c Count) {
		fmt.Fprintf(b, "%-17s%14s%14s\n", name, words.Number(c.Sessions), words.Number(c.Messages))
	}
	fmt.Fprintf(b, "\n%-17s%14s%14s\n", "", "sessions", "messages")
	for _, l := range r.Levels {
		row(l.Level.String(), l.Count)
	}
	row("judged", r.Judged)
	if r.Judged.Messages > 0 {
		fmt.Fprintf(b, "encrypted        %13.1f %% of the messages\n", r.Encrypted*100)
	}
	for _, other := range []struct {
		name string
		Count
	}{{"TLS unknown", r.Unknown}, {"logged in", r.Authenticated}, {"exempt", r.Exempt}, {"unreadable", r.Unreadable}} {
		if other.Sessions > 0 {
			row(other.name, other.Count)
		}
	}
	if r.Returned > 0 {
		row("from filters", Count{Messages: int(r.Returned)})
	}
	for _, why := range slices.SortedFunc(maps.Keys(r.Reasons), func(a, b string) int {
		return cmp.Or(r.Reasons[b]-r.Reasons[a], strings.Compare(a, b))
	}) {
		fmt.Fprintf(b, "  unknown: %s: %s\n", why, words.Number(r.Reasons[why]))
	}
	fmt.Fprintf(b, "\n%-17s%14s%14s\n", "peers", "seen", "pinned")
	fmt.Fprintf(b, "%-17s%14s%14s\n", "addresses", words.Number(r.Peers.Addresses), words.Number(r.Peers.AddressesPinned))
	fmt.Fprintf(b, "%-17s%14s%14s\n", "domains", words.Number(r.Peers.Domains), words.Number(r.Peers.DomainsPinned))
}

// rows writes a table of the incidents that are wanted.
func rows(b *strings.Builder, title string, all []*Incident, wanted func(*Incident) bool) {
	list := slices.DeleteFunc(slices.Clone(all), func(i *Incident) bool { return !wanted(i) })
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s: %s\n", title, words.Number(len(list)))
	fmt.Fprintf(b, "%-16s  %-26s %5s  %-11s %5s  %s\n", "from (UTC)", "peer", "days", "was, came", "mails", "action")
	for _, i := range list {
		change, days := short(i.Pin)+", "+short(i.Seen), "-"
		if i.Days > 0 {
			days = strconv.Itoa(i.Days) + "/64"
		}
		fmt.Fprintf(b, "%-16s  %-26s %5s  %-11s %5s  %s\n", i.Began.Format(minute), cut(peerName(i), 26), days, cut(change, 11), cut(words.Number(i.Messages), 5), cut(i.Action.String(), 10))
		if i.Fault != "" {
			fmt.Fprintf(b, "  %s\n", i.Fault)
		}
	}
}

// peerName leaves out the kind where the name speaks for itself.
func peerName(i *Incident) string {
	kind, name, _ := strings.Cut(i.Identity, ":")
	if kind == "sender" {
		return i.Identity
	}
	return name
}

// short spells a level in as few letters as a table has.
func short(level string) string {
	if level == "certificate" {
		return "cert"
	}
	return strings.TrimPrefix(level, "TLSv")
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n-1] + "~"
	}
	return s
}

// fates are what actions mean for a message.
var fates = [...]string{
	tlsstate.Reject: "have been refused", tlsstate.Tempfail: "have waited", tlsstate.Quarantine: "have been put on hold",
	tlsstate.Header: "have been marked", tlsstate.Observe: "only have been logged",
}

// summary is the sentence to decide on.
func (r *Report) summary() string {
	if r.Judged.Messages == 0 {
		return "No result: the log has no message whose encryption is known."
	}
	with := "With " + r.Policy.Stripped.String() + ", "
	if len(r.Actions) == 0 {
		return with + fmt.Sprintf("none of %s would have been touched.", words.Count(r.Judged.Messages, "message"))
	}
	var parts []string
	for n, a := range r.Actions {
		messages := words.Count(a.Messages, "message")
		if n == 0 {
			messages = words.Number(a.Messages) + " of " + words.Count(r.Judged.Messages, "message")
		}
		parts = append(parts, fmt.Sprintf("%s, from %s, would %s", messages, words.Count(a.Peers, "peer"), fates[a.Action]))
	}
	text := with + strings.Join(parts, ", and ") + "."
	if r.OwnFault > 0 {
		text += fmt.Sprintf(" For %s of these the fault looks like our own.", words.Number(r.OwnFault))
	}
	return text
}

// wrap breaks a text into lines.
func wrap(text string) string { return words.Wrap(text, width, "\n") + "\n" }
