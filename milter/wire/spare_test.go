package wire

import (
	"slices"
	"testing"
)

// TestSpare: the last that was put is taken first, and after a final drop none is kept.
func TestSpare(t *testing.T) {
	var s spare[int]
	for one := range 4 {
		if kept := s.put(one, 3); kept != (one < 3) {
			t.Errorf("%d: kept %t", one, kept)
		}
	}
	if one, found := s.take(); one != 2 || !found {
		t.Errorf("took %d, %t", one, found)
	}
	if all := s.drop(false); !slices.Equal(all, []int{0, 1}) {
		t.Errorf("dropped %d", all)
	}
	if one, found := s.take(); found {
		t.Errorf("took %d of none", one)
	}
	if !s.put(5, 1) || s.put(6, 1) {
		t.Error("not kept after a drop, or too many")
	}
	if all := s.drop(true); !slices.Equal(all, []int{5}) || s.put(7, 1) {
		t.Errorf("dropped %d, and kept another", all)
	}
}
