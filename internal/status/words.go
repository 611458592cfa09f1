package status

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/words"
)

// functions are those of the templates.
var functions = template.FuncMap{
	"clean":    func(s string) string { return clean.Text(s, 600) },
	"count":    count,
	"day":      func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
	"minute":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
	"clock":    func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"machine":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"plain":    words.Level,
	"atLeast":  words.AtLeast,
	"kind":     words.Kind,
	"client":   client,
	"sure":     clean.IsWord,
	"one":      one,
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

// count writes a number that is not negative with thin spaces between thousands.
func count(n any) string {
	s := fmt.Sprint(n)
	var b strings.Builder
	for i, digit := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteRune('\u202f')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// one chooses the singular for the number 1, else the plural.
func one(n any, singular, plural string) string {
	if fmt.Sprint(n) == "1" {
		return singular
	}
	return plural
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
