package measure

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	table := Table{Head: []string{"", "messages/s", "p50"}}
	table.Add("do-nothing", "41,000", "20 µs")
	table.Add("a|b", "9")
	var b strings.Builder
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `|            | messages/s |   p50 |
|------------|-----------:|------:|
| do-nothing |     41,000 | 20 µs |
| a\|b       |          9 |       |

`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	if err := table.Write(full{}); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

type full struct{}

var errFull = errors.New("full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestForms(t *testing.T) {
	for got, want := range map[string]string{
		Count(0):         "0",
		Count(999):       "999",
		Count(1000):      "1,000",
		Count(1234567.4): "1,234,567",
		Count(-12345):    "-12,345",
		Wait(0):          "0 ns",
		Wait(118e-9):     "118 ns",
		Wait(1208e-9):    "1208 ns",
		Wait(162e-6):     "162 µs",
		Wait(1.6e-3):     "1.60 ms",
		Wait(0.93):       "0.93 s",
		Ratio(0):         "-",
		Ratio(1.066):     "1.07",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
