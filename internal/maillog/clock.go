package maillog

import (
	"bytes"
	"time"
)

// clock reads the times of one stretch of a log. It remembers the last hour it
// saw, for most lines are of the same.
type clock struct {
	loc *time.Location
	// year and month are those of the last line whose time has no year.
	year  int
	month time.Month

	hour  [len("2006-01-02T15-07:00")]byte
	hours int // bytes of hour in use
	start int64
}

const bsdTime = len("Jan _2 15:04:05")

// read returns the time at the beginning of a line, in seconds, and what comes
// after the space that follows it.
func (c *clock) read(line []byte) (at int64, rest []byte, ok bool) {
	if len(line) <= bsdTime+1 {
		return 0, nil, false
	}
	if line[0] >= '0' && line[0] <= '9' {
		return c.iso(line)
	}
	// RFC 3164 section 4.1.2: "Mmm dd hh:mm:ss".
	if line[3] != ' ' || line[6] != ' ' || line[bsdTime] != ' ' {
		return 0, nil, false
	}
	start, ok := c.bsdHour(line[:9])
	past, ok2 := minutes(line[9:bsdTime])
	return start + past, line[bsdTime+1:], ok && ok2
}

// minutes reads ":mm:ss".
func minutes(b []byte) (int64, bool) {
	m, ok1 := two(b[1:])
	s, ok2 := two(b[4:])
	return int64(m)*60 + int64(s), ok1 && ok2 && b[0] == ':' && b[3] == ':' && m < 60 && s < 61
}

// two reads two digits.
func two(b []byte) (int, bool) {
	hi, lo := b[0]-'0', b[1]-'0'
	return int(hi)*10 + int(lo), hi <= 9 && lo <= 9
}

func (c *clock) known(hour, zone []byte) bool {
	n := len(hour)
	return c.hours == n+len(zone) && string(c.hour[:n]) == string(hour) && string(c.hour[n:c.hours]) == string(zone)
}

func (c *clock) remember(hour, zone []byte, t time.Time) int64 {
	c.hours = copy(c.hour[:], hour)
	c.hours += copy(c.hour[c.hours:], zone)
	c.start = t.Unix()
	return c.start
}

// bsdHour reads "Jan _2 15", of the year that the order of months gives.
func (c *clock) bsdHour(b []byte) (int64, bool) {
	if c.known(b, nil) {
		return c.start, true
	}
	month, ok := monthOf(b)
	day, ok2 := dayOf(b[4:6])
	hour, ok3 := two(b[7:9])
	if !ok || !ok2 || !ok3 || hour > 23 {
		return 0, false
	}
	c.turn(month)
	return c.remember(b, nil, time.Date(c.year, month, day, hour, 0, 0, 0, c.loc)), true
}

// turn moves on to a month: New Year lies between months that are more than
// half a year apart, in either direction, for lines come late too.
func (c *clock) turn(m time.Month) {
	switch {
	case c.month == 0:
	case m < c.month-6:
		c.year++
	case m > c.month+6:
		c.year--
	}
	c.month = m
}

// begin returns a clock for lines that follow those of the chunks before, and
// moves on to their first month.
func (c *clock) begin(data []byte) clock {
	for line := range bytes.Lines(data) {
		if len(line) > bsdTime && line[3] == ' ' && line[6] == ' ' {
			if m, ok := monthOf(line); ok {
				c.turn(m)
			}
		}
		break
	}
	return clock{loc: c.loc, year: c.year, month: c.month}
}

func monthOf(b []byte) (time.Month, bool) {
	const names = "JanFebMarAprMayJunJulAugSepOctNovDec"
	for i := 0; i < len(names); i += 3 {
		if names[i] == b[0] && names[i+1] == b[1] && names[i+2] == b[2] {
			return time.Month(i/3 + 1), true
		}
	}
	return 0, false
}

func dayOf(b []byte) (int, bool) {
	if b[0] == ' ' {
		return int(b[1] - '0'), b[1] >= '1' && b[1] <= '9'
	}
	d, ok := two(b)
	return d, ok && d >= 1 && d <= 31
}

// iso reads RFC 3339 and its relatives: "2026-09-21T10:00:00", a fraction, and
// a zone that may do without its colon.
func (c *clock) iso(line []byte) (at int64, rest []byte, ok bool) {
	const seconds = len("2006-01-02T15:04:05")
	if len(line) < seconds+1 || line[10] != 'T' {
		return 0, nil, false
	}
	zone := seconds
	if line[zone] == '.' || line[zone] == ',' {
		for zone++; zone < len(line) && line[zone] >= '0' && line[zone] <= '9'; zone++ {
		}
	}
	end := zone
	for ; end < len(line) && line[end] != ' '; end++ {
		if end-zone == len("-07:00") {
			return 0, nil, false
		}
	}
	if end == len(line) {
		return 0, nil, false
	}
	start, ok := c.isoHour(line[:13], line[zone:end])
	past, ok2 := minutes(line[13:seconds])
	return start + past, line[end+1:], ok && ok2
}

func (c *clock) isoHour(hour, zone []byte) (int64, bool) {
	if c.known(hour, zone) {
		return c.start, true
	}
	layout, loc := "2006-01-02T15", time.UTC
	switch len(zone) {
	case 0:
		loc = c.loc
	case len("Z"):
		layout += "Z07"
	case len("-07"):
		layout += "-07"
	case len("-0700"):
		layout += "-0700"
	default:
		layout += "-07:00"
	}
	t, err := time.ParseInLocation(layout, string(hour)+string(zone), loc)
	if err != nil {
		return 0, false
	}
	return c.remember(hour, zone, t), true
}
