package tlsstate

import (
	"math/bits"
	"time"
)

// Day is a UTC day, counted from 1970-01-01. 0 is never; the last one is in
// June 2149.
type Day uint16

// Window is how many days, and how many weeks, a history looks back.
const Window = 64

// DayOf returns the UTC day of t: 0 before 1970-01-02, the last day there is
// after it.
func DayOf(t time.Time) Day {
	n := t.Unix() / 86400
	return Day(min(max(n, 0), 1<<16-1))
}

// Time returns the first moment of the day.
func (d Day) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String returns the day as 2026-09-21, or "never".
func (d Day) String() string {
	if d == 0 {
		return "never"
	}
	return d.Time().Format(time.DateOnly)
}

// sub returns d-e in days.
func (d Day) sub(e Day) int { return int(d) - int(e) }

// week numbers weeks so that no week holds day 0 alone.
func (d Day) week() int { return int(d) / 7 }

// days is a set of days (or weeks) as bits: bit k is the k-th before the end
// of the window.
type days = uint64

// bit returns the set that holds only the day ago days before the end, which is not
// after it.
func bit(ago int) days { return 1 << ago } // a shift by 64 and more is 0 in Go

// slide moves the end of the window n days later.
func slide(s days, n int) days { return s << max(n, 0) }

// newest keeps the n newest days of a set.
func newest(s days, n int) days { return s & (1<<max(n, 0) - 1) } // of 64 and more all

// count returns how many days are in the set.
func count(s days) int { return bits.OnesCount64(s) }
