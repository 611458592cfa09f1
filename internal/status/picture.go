package status

import (
	"fmt"

	"tlsratchet/internal/incident"
	"tlsratchet/tlsstate"
)

// The measures of the picture: a column a day, from left to right.
const (
	columnWidth  = 10
	columnGap    = 1.5
	plotLeft     = 44
	plotTop      = 8
	plotHeight   = 160
	plotWidth    = tlsstate.Window * columnWidth
	pictureDepth = plotTop + plotHeight + 26
)

// picture is the share of mail by level over 64 days, drawn by the server.
type picture struct {
	// Left is the width of the labels, Plot that of the rest.
	Left, Plot, Height int
	Lines              []line
	Marks              []mark
	Columns            []column
	// Rows are the same in numbers, newest first.
	Rows []column
}

// line is one of the grid, with its label.
type line struct {
	X1, X2, Y, TextY int
	Label            string
}

// mark is a day at the bottom.
type mark struct {
	X, Y   int
	Anchor string
	Label  string
}

// column is one day.
type column struct {
	Day    tlsstate.Day
	Words  string
	Boxes  []box
	Levels [levels]uint64
	share
}

// box is a rectangle of one level. Its numbers are in units of the picture.
type box struct {
	// Level is -1 for one that is empty.
	Level               int
	X, Y, Width, Height string
}

func newPicture(tally incident.Tally, today tlsstate.Day) picture {
	p := picture{Left: plotLeft, Plot: plotWidth + 8, Height: pictureDepth, Marks: marks(today, 0, pictureDepth-6)}
	for _, share := range []int{0, 25, 50, 75, 100} {
		y := plotTop + plotHeight - plotHeight*share/100
		p.Lines = append(p.Lines, line{X1: plotLeft, X2: plotLeft + plotWidth, Y: y, TextY: y + 4, Label: fmt.Sprintf("%d %%", share)})
	}
	for i := range tally {
		if ago := int(today) - int(tally[i].Day); ago >= 0 && ago < tlsstate.Window {
			p.add(newColumn(&tally[i], ago))
		}
	}
	return p
}

// marks are some of the days below a picture whose plot begins so much further
// to the right.
func marks(today tlsstate.Day, right, y int) (all []mark) {
	for _, ago := range []int{tlsstate.Window - 1, 42, 21, 0} {
		if int(today) <= ago {
			continue
		}
		day := today - tlsstate.Day(ago)
		m := mark{X: right + columnLeft(ago) + columnWidth/2, Y: y, Anchor: "middle", Label: day.Time().Format("2 Jan")}
		switch ago {
		case tlsstate.Window - 1:
			m.X, m.Anchor = right+plotLeft, "start"
		case 0:
			m.X, m.Anchor, m.Label = right+plotLeft+plotWidth, "end", "today"
		}
		all = append(all, m)
	}
	return all
}

// columnLeft is where the column of so many days ago begins.
func columnLeft(ago int) int { return plotLeft + (tlsstate.Window-1-ago)*columnWidth }

func (p *picture) add(c column) {
	if c.All == 0 {
		return
	}
	p.Columns = append(p.Columns, c)
	p.Rows = append([]column{c}, p.Rows...)
}

// newColumn stacks the levels, the best at the bottom.
func newColumn(d *incident.DayCounts, ago int) column {
	c := column{Day: d.Day, Levels: d.Levels()}
	c.add(c.Levels)
	c.Words = fmt.Sprintf("%s: %s of %s %s encrypted", c.Day, c.Percent(), count(c.All), one(c.All, "message", "messages"))
	bottom := float64(plotTop + plotHeight)
	for l := levels - 1; l >= 0; l-- {
		if c.Levels[l] == 0 {
			continue
		}
		height := plotHeight * float64(c.Levels[l]) / float64(c.All)
		bottom -= height
		c.Boxes = append(c.Boxes, box{
			Level: l, X: units(float64(columnLeft(ago)) + columnGap/2), Y: units(bottom),
			Width: units(columnWidth - columnGap), Height: units(height),
		})
	}
	return c
}

func units(f float64) string { return fmt.Sprintf("%.2f", f) }
