package maillog

import (
	"strings"
	"testing"
	"time"
)

// The hour that occurs twice is dated by the order of the lines.
func TestEndOfSummerTime(t *testing.T) {
	for _, tt := range []struct{ name, zone, times, want string }{
		{"Berlin", "Europe/Berlin", "Oct 25 01:59:50,Oct 25 02:30:00,Oct 25 02:59:50,Oct 25 02:00:01,Oct 25 02:30:00,Oct 25 03:00:00",
			"23:59:50 00:30:00 00:59:50 01:00:01 01:30:00 02:00:00"},
		{"Chicago", "America/Chicago", "Nov  1 00:59:59,Nov  1 01:10:00,Nov  1 01:00:00,Nov  1 01:58:00,Nov  1 02:00:00",
			"05:59:59 06:10:00 07:00:00 07:58:00 08:00:00"},
		{"half an hour", "Australia/Lord_Howe", "Apr  5 01:20:00,Apr  5 01:59:00,Apr  5 01:31:00,Apr  5 01:50:00,Apr  5 02:00:00",
			"14:20:00 14:59:00 15:01:00 15:20:00 15:30:00"},
		{"a late line is of the same occurrence", "Europe/Berlin", "Oct 25 02:20:00,Oct 25 02:19:55,Oct 25 02:59:59,Oct 25 02:00:00,Oct 25 02:58:00,Oct 25 03:00:01,Oct 25 02:59:58",
			"00:20:00 00:19:55 00:59:59 01:00:00 01:58:00 02:00:01 01:59:58"},
		{"lines in between are of other hours", "Europe/Berlin", "Oct 25 02:50:00,Oct 25 02:10:00,Oct 25 03:10:00,Oct 25 04:00:00", "00:50:00 01:10:00 02:10:00 03:00:00"},
		{"nothing shows it", "Europe/Berlin", "Oct 25 02:10:00,Oct 25 02:50:00,Oct 25 03:10:00", "00:10:00 00:50:00 02:10:00"},
		{"the log begins again", "Europe/Berlin", "Oct 25 23:00:00,Oct 25 02:10:00,Oct 25 02:50:00", "22:00:00 00:10:00 00:50:00"},
		{"with a year", "Europe/Berlin", "2026-10-25 02:50:00,2026-10-25 02:10:00", "00:50:00 01:10:00"},
		{"with a zone", "Europe/Berlin", "2026-10-25T02:50:00+02:00,2026-10-25T02:10:00+01:00,2026-10-25T02:20:00+02:00", "00:50:00 01:10:00 00:20:00"},
		{"another day", "Europe/Berlin", "Oct 26 02:50:00,Oct 26 02:10:00", "01:50:00 01:10:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			loc, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			c := clock{loc: loc, year: 2026}
			var got []string
			for _, stamp := range strings.Split(tt.times, ",") {
				at, _, ok := c.read([]byte(stamp + " x"))
				if !ok {
					t.Fatalf("%q is no time", stamp)
				}
				got = append(got, time.Unix(at, 0).UTC().Format(time.TimeOnly))
			}
			if all := strings.Join(got, " "); all != tt.want {
				t.Errorf("%s, want %s", all, tt.want)
			}
		})
	}
}
