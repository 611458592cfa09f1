package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// paint is a colour, or none.
type paint string

// The colours, as terminals number them.
const (
	plain  paint = ""
	bold   paint = "1"
	red    paint = "31"
	green  paint = "32"
	yellow paint = "33"
)

// colours reports whether w is to be coloured: a terminal alone, and not where its
// owner doesn't want it (NO_COLOR, see no-color.org) or can't have it.
func colours(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// colour returns text as it is to be printed to w. Pad it before.
func colour(w io.Writer, p paint, text string) string {
	if o, ok := w.(*output); !ok || !o.colours || p == plain {
		return text
	}
	return fmt.Sprintf("\x1b[%sm%s\x1b[0m", p, text)
}
