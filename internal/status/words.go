package status

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/words"
)

// thin makes the commas between thousands thin spaces.
var thin = strings.NewReplacer(",", "\u202f").Replace

// functions are those of the templates.
var functions = template.FuncMap{
	"clean":    func(s string) string { return clean.Text(s, 600) },
	"count":    func(n any) string { return thin(words.Number(n)) },
	"counted":  func(n any, noun string) string { return thin(words.Count(n, noun)) },
	"day":      func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
	"minute":   incident.Stamp,
	"clock":    func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"machine":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"plain":    words.Level,
	"atLeast":  words.AtLeast,
	"kind":     words.Kind,
	"client":   client,
	"sure":     clean.IsWord,
	"sentence": words.Sentence,
}

// client writes "mx1.bank.example[192.0.2.10]" so that a line may end before the
// address.
func client(s string) template.HTML {
	host, address := clean.Text(s, 600), ""
	if at := strings.LastIndexByte(host, '['); at > 0 && strings.HasSuffix(host, "]") {
		host, address = host[:at], "<wbr>"+template.HTMLEscapeString(host[at:])
	}
	return template.HTML(template.HTMLEscapeString(host) + address)
}

// percent is a share, never rounded up: 100 % means all.
func percent(part, whole uint64) string {
	if whole == 0 {
		return "–"
	}
	tenths := part * 1000 / whole
	if tenths%10 == 0 && part*1000%whole == 0 {
		return fmt.Sprintf("%d\u202f%%", tenths/10)
	}
	return fmt.Sprintf("%d.%d\u202f%%", tenths/10, tenths%10)
}
