package maillog

import (
	"bytes"
	"cmp"
	"strconv"
	"time"
)

// clock reads the times of one source. A time is a date and an hour, ":mm:ss",
// and perhaps a fraction and a zone. The clock remembers the last hour, because
// most lines are of the same hour.
type clock struct {
	loc *time.Location
	// now, if not nil, is when a line is read: about when it was written.
	now func() time.Time
	// year and month are those of the last line whose time has no year.
	year  int
	month time.Month

	// prefix is the text of the last hour, suffix the zone after it, start what
	// they mean.
	prefix, suffix []byte
	start          int64
	// yearless is true if the last hour has no year.
	yearless bool
	// end is when summer time ends near the last hour, and shift by how many
	// seconds the clock goes back there: 0 if it doesn't, or the zone is stated.
	end, shift int64
	// last is the last time.
	last int64
}

const (
	bsdTime = len("Jan _2 15:04:05")
	past    = len(":04:05")
	// A line may be late by so many seconds.
	late = 60
)

// read returns the time at the beginning of a line, in seconds, and the text
// after the space that follows it.
func (c *clock) read(line []byte) (at int64, rest []byte, ok bool) {
	if n := len(c.prefix); n > 0 && len(line) > n+past && string(line[:n]) == string(c.prefix) {
		if at, rest, ok = c.seconds(line, n, c.suffix); ok {
			return c.dated(at), rest, true
		}
	}
	return c.parse(line)
}

// dated returns the time of so many seconds in the hour. Of a time that occurs
// twice it is the second if the first is earlier than the line before.
func (c *clock) dated(seconds int64) int64 {
	at := c.start + seconds
	if c.end-c.shift <= at && at < c.end && at+late < c.last && c.last < at+c.shift+3600 {
		at += c.shift
	}
	c.last = at
	return at
}

// seconds reads ":mm:ss", a fraction, a suffix and a space, from n on.
func (c *clock) seconds(line []byte, n int, suffix []byte) (at int64, rest []byte, ok bool) {
	m, ok1 := two(line[n+1:])
	s, ok2 := two(line[n+4:])
	if !ok1 || !ok2 || line[n] != ':' || line[n+3] != ':' || m > 59 || s > 60 {
		return 0, nil, false
	}
	rest = line[afterFraction(line, n+past):]
	if len(rest) <= len(suffix) || rest[len(suffix)] != ' ' || !bytes.HasPrefix(rest, suffix) {
		return 0, nil, false
	}
	return int64(m)*60 + int64(s), rest[len(suffix)+1:], true
}

// two reads two digits.
func two(b []byte) (int, bool) {
	if len(b) < 2 {
		return 0, false
	}
	hi, lo := b[0]-'0', b[1]-'0'
	return int(hi)*10 + int(lo), hi <= 9 && lo <= 9
}

func afterFraction(line []byte, i int) int {
	if i < len(line) && (line[i] == '.' || line[i] == ',') {
		for i++; i < len(line) && line[i] >= '0' && line[i] <= '9'; i++ {
		}
	}
	return i
}

// layouts are those of a date and an hour. RFC 3164 (section 4.1.2) has no year.
var layouts = []string{
	"Jan 2 15", "2006-01-02T15", "2006-01-02 15", "Mon 2006-01-02 15", "Jan 2 2006 15", "2006 Jan 2 15", "Mon Jan 2 15",
}

// parse reads a time of another hour than the last, in any form that is known.
func (c *clock) parse(line []byte) (at int64, rest []byte, ok bool) {
	const longest = len("Mon 2006-01-02 15")
	n := bytes.IndexByte(line[:min(len(line), longest+1)], ':')
	if n < len("Jan 2 15") || len(line) <= n+past {
		return unixTime(line)
	}
	if _, ok := two(line[n-2:]); !ok {
		return 0, nil, false
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, string(line[:n]))
		if err != nil {
			continue
		}
		suffix := suffixOf(line[afterFraction(line, n+past):])
		if at, rest, ok = c.seconds(line, n, suffix); !ok || !c.complete(t, bytes.TrimLeft(suffix, " ")) {
			break
		}
		c.prefix, c.suffix = append(c.prefix[:0], line[:n]...), append(c.suffix[:0], suffix...)
		return c.dated(at), rest, true
	}
	return 0, nil, false
}

// suffixOf returns the zone, or the year, after the seconds.
func suffixOf(b []byte) []byte {
	end := bytes.IndexByte(b, ' ')
	if end != 0 {
		return b[:max(end, 0)]
	}
	word, _, _ := bytes.Cut(b[1:], space)
	if _, _, known := zone(word); known {
		return b[:1+len(word)]
	}
	return nil
}

// zone reads a year, or a zone: an abbreviation, "+01", "+0100" or "+01:00". loc is
// nil where there is no zone.
func zone(word []byte) (year int, loc *time.Location, ok bool) {
	if n, digits := number(word); digits == 4 && len(word) == 4 && n >= 1980 && n <= 2148 {
		return int(n), nil, true
	}
	if seconds, ok := zones[string(word)]; ok {
		return 0, time.FixedZone("", seconds), true
	}
	for _, layout := range []string{"-07:00", "-0700", "-07"} {
		if t, err := time.Parse(layout, string(word)); err == nil {
			_, seconds := t.Zone()
			return 0, time.FixedZone("", seconds), true
		}
	}
	return 0, nil, false
}

// complete sets the start of the hour: t with the year and the zone that the
// suffix states, or that are known otherwise.
func (c *clock) complete(t time.Time, suffix []byte) bool {
	year, loc, ok := zone(suffix)
	if !ok && len(suffix) > 0 {
		return false
	}
	year = cmp.Or(year, t.Year())
	if c.yearless = year == 0; c.yearless {
		if c.now != nil {
			now := c.now().In(c.loc)
			c.year, c.month = now.Year(), now.Month()
		}
		c.turn(t.Month())
		year = c.year
	}
	c.begin(time.Date(year, t.Month(), t.Day(), t.Hour(), 0, 0, 0, cmp.Or(loc, c.loc)))
	return true
}

// begin sets the start of the hour: the first, of one that occurs twice.
func (c *clock) begin(t time.Time) {
	const near = 3 * time.Hour
	_, before := t.Add(-near).Zone()
	_, after := t.Add(near).Zone()
	c.start, c.shift = t.Unix(), max(0, int64(before-after))
	end, _ := t.Add(near).ZoneBounds()
	if c.end = end.Unix(); c.shift > 0 && c.end <= c.start && c.start < c.end+c.shift {
		c.start -= c.shift
	}
}

// zones are offsets in seconds of abbreviations that mean one zone alone.
var zones = map[string]int{
	"Z": 0, "UTC": 0, "GMT": 0, "WEST": 3600, "CET": 3600, "CEST": 7200, "EET": 7200, "EEST": 10800, "MSK": 10800, "JST": 32400,
	"EST": -18000, "EDT": -14400, "CDT": -18000, "MDT": -21600, "PST": -28800, "PDT": -25200,
}

// turn moves on to a month. New Year lies between months that are more than
// half a year apart, in either direction, because lines can be late.
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

// unixTime reads "1772524801.123456 ", as journalctl -o short-unix writes it.
func unixTime(line []byte) (at int64, rest []byte, ok bool) {
	if len(line) < len("1772524801.1 ") || line[10] != '.' {
		return 0, nil, false
	}
	at, err := strconv.ParseInt(string(line[:10]), 10, 64)
	end := afterFraction(line, 10)
	return at, line[min(end+1, len(line)):], err == nil && end < len(line) && line[end] == ' '
}
