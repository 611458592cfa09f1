package admin

import (
	"context"
	"errors"
	"time"

	"tlsratchet/tlsstate/store"
)

const (
	// batchLines is after how many lines an import waits until they are written:
	// less than the changes that the memory lets wait.
	batchLines = 10_000
	// batchPatience is for how long an import waits for the disk.
	batchPatience = time.Minute
)

// patiently repeats do while the disk does not answer in time. A message cannot
// wait for the disk; a batch can.
func patiently(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, batchPatience)
	defer cancel()
	for {
		err := do()
		if !errors.Is(err, store.ErrTimeout) {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
