package daemon

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestProcessorsOfTheSystem: all are as many as there are when they are needed, unless
// an operator says how many.
func TestProcessorsOfTheSystem(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var given, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &given); err != nil {
		t.Fatal(err)
	}
	all := given.Count()
	if all < 2 {
		t.Skip("one processor")
	}
	for cpu := 0; one.Count() == 0; cpu++ {
		if given.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	may := func(set *unix.CPUSet) {
		if err := unix.SchedSetaffinity(0, set); err != nil {
			t.Fatal(err)
		}
	}
	defer runtime.SetDefaultGOMAXPROCS()
	defer may(&given)
	for _, tt := range []struct {
		environment string
		want        int // while there is one
	}{{"", 1}, {"3", 3}} {
		t.Setenv("GOMAXPROCS", tt.environment)
		runtime.GOMAXPROCS(max(all, tt.want))
		set := processors()
		may(&one)
		set(false)
		if n := runtime.GOMAXPROCS(0); n != 1 {
			t.Errorf("GOMAXPROCS=%s: %d while there is little to do", tt.environment, n)
		}
		if set(true); runtime.GOMAXPROCS(0) != tt.want {
			t.Errorf("GOMAXPROCS=%s: %d of one, want %d", tt.environment, runtime.GOMAXPROCS(0), tt.want)
		}
		may(&given)
	}
}
