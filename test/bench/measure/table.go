package measure

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Table is a table for people: in Markdown, with columns that line up, so that
// a terminal shows it as well. The first column is words, the others figures.
type Table struct {
	Head []string
	Rows [][]string
}

// Add appends a row. Cells that are missing stay empty.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Write writes the table and an empty line after it.
func (t *Table) Write(w io.Writer) error {
	widths := t.widths()
	var b strings.Builder
	line(&b, t.Head, widths)
	for i, n := range widths {
		rule := strings.Repeat("-", n+2)
		if i > 0 {
			rule = rule[1:] + ":"
		}
		b.WriteString("|" + rule)
	}
	b.WriteString("|\n")
	for _, row := range t.Rows {
		line(&b, row, widths)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) widths() []int {
	widths := make([]int, len(t.Head))
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		for i := range min(len(row), len(widths)) {
			widths[i] = max(widths[i], utf8.RuneCountInString(escape(row[i])))
		}
	}
	return widths
}

func line(b *strings.Builder, cells []string, widths []int) {
	for i, width := range widths {
		cell := ""
		if i < len(cells) {
			cell = escape(cells[i])
		}
		space := strings.Repeat(" ", width-utf8.RuneCountInString(cell))
		if i == 0 {
			b.WriteString("| " + cell + space + " ")
		} else {
			b.WriteString("| " + space + cell + " ")
		}
	}
	b.WriteString("|\n")
}

func escape(cell string) string { return strings.ReplaceAll(cell, "|", `\|`) }

// Count writes a whole number with its thousands apart: 41,000.
func Count(f float64) string {
	digits := strconv.FormatFloat(f, 'f', 0, 64)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Wait writes a time, given in seconds, in the unit that suits it: 850 µs,
// 1.25 ms, 0.93 s.
func Wait(seconds float64) string {
	if seconds < 0 {
		return "-" + Wait(-seconds)
	}
	switch d := time.Duration(seconds * float64(time.Second)); {
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%.0f ns", seconds*1e9)
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f µs", seconds*1e6)
	case d < 500*time.Millisecond:
		return fmt.Sprintf("%.2f ms", seconds*1e3)
	}
	return fmt.Sprintf("%.2f s", seconds)
}

// Ratio writes a ratio: 1.07. One that could not be taken is a dash.
func Ratio(f float64) string {
	if f <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", f)
}
