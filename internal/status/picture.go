package status

import (
	"cmp"
	"fmt"
	"slices"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
)

// The measures of a chart: a column a day, from left to right.
const (
	columnWidth  = 10
	columnGap    = 1.5
	plotTop      = 8
	plotHeight   = 160
	pictureDepth = plotTop + plotHeight + 26
)

// picture is the share of mail by level over 64 days, drawn by the server.
type picture struct {
	Height  int
	Lines   []line
	Marks   []mark
	Columns []column
}

// line is one of the grid, with its label.
type line struct {
	Y, TextY int
	Label    string
}

// mark is a day at the bottom.
type mark struct {
	X             int
	Anchor, Label string
}

// column is one day.
type column struct {
	Day    tlsstate.Day
	Words  string
	Boxes  []box
	Levels [levels]uint64
	share
}

// box is a rectangle of one level, as wide as a column. Its numbers are in units of
// the picture.
type box struct {
	// Level is -1 for one that is empty.
	Level               int
	X, Y, Width, Height string
}

func newBox(level, ago int, top, height float64) box {
	return box{
		Level: level, X: units(float64(columnLeft(ago)) + columnGap/2), Y: units(top),
		Width: units(columnWidth - columnGap), Height: units(height),
	}
}

func newPicture(tally incident.Tally, today tlsstate.Day) picture {
	p := picture{Height: pictureDepth, Marks: marks(today)}
	for _, share := range []int{0, 25, 50, 75, 100} {
		y := plotTop + plotHeight - plotHeight*share/100
		p.Lines = append(p.Lines, line{Y: y, TextY: y + 4, Label: fmt.Sprintf("%d %%", share)})
	}
	for i := range tally {
		ago := int(today) - int(tally[i].Day)
		if c := newColumn(&tally[i], ago); c.All > 0 && ago >= 0 && ago < tlsstate.Window {
			p.Columns = append(p.Columns, c)
		}
	}
	return p
}

// Newest lists the columns, the newest first.
func (p picture) Newest() []column {
	all := slices.Clone(p.Columns)
	slices.Reverse(all)
	return all
}

// marks are some of the days below a chart.
func marks(today tlsstate.Day) (all []mark) {
	anchors, labels := map[int]string{tlsstate.Window - 1: "start", 0: "end"}, map[int]string{0: "today"}
	for _, ago := range []int{tlsstate.Window - 1, 42, 21, 0} {
		day := today - tlsstate.Day(ago)
		all = append(all, mark{
			X: columnLeft(ago) + columnWidth/2, Anchor: cmp.Or(anchors[ago], "middle"), Label: cmp.Or(labels[ago], day.Time().Format("2 Jan")),
		})
	}
	return all
}

// columnLeft is where the column of so many days ago begins.
func columnLeft(ago int) int { return (tlsstate.Window - 1 - ago) * columnWidth }

// newColumn stacks the levels, the best at the bottom.
func newColumn(d *incident.DayCounts, ago int) column {
	c := column{Day: d.Day, Levels: d.Levels()}
	c.add(c.Levels)
	c.Words = fmt.Sprintf("%s: %s of %s encrypted", c.Day, c.Percent(), thin(words.Count(c.All, "message")))
	bottom := float64(plotTop + plotHeight)
	for l := levels - 1; l >= 0; l-- {
		if c.Levels[l] == 0 {
			continue
		}
		height := plotHeight * float64(c.Levels[l]) / float64(c.All)
		bottom -= height
		c.Boxes = append(c.Boxes, newBox(l, ago, bottom, height))
	}
	return c
}

func units(f float64) string { return fmt.Sprintf("%.2f", f) }
