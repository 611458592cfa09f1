package daemon

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain: whatever a daemon begins ends with it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
