package posttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Queued is a message in the queue, as postqueue -j prints it.
type Queued struct {
	// Queue is "incoming", "active", "deferred" or "hold".
	Queue string `json:"queue_name"`
	// ID is the queue id.
	ID string `json:"queue_id"`
	// Sender is the envelope sender; "MAILER-DAEMON" for the null sender.
	Sender string `json:"sender"`
	// Recipients are those that were not delivered yet.
	Recipients []struct {
		Address string `json:"address"`
		// Delay is why it is still here: the other side's reply.
		Delay string `json:"delay_reason"`
	} `json:"recipients"`
}

// Queue lists the queue of a running instance.
func (in *Instance) Queue(ctx context.Context) ([]Queued, error) {
	out, err := in.run(ctx, "postqueue", "-j")
	if err != nil {
		return nil, err
	}
	return parseQueue(out)
}

// parseQueue reads one JSON object after the other.
func parseQueue(out string) ([]Queued, error) {
	var all []Queued
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var q Queued
		err := d.Decode(&q)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("postqueue -j: %w", err)
		}
		all = append(all, q)
	}
}

// WaitQueue returns the first queued message that matches, as soon as it is
// there. When ctx ends first, the error holds the end of the log.
func (in *Instance) WaitQueue(ctx context.Context, match func(Queued) bool) (Queued, error) {
	var found Queued
	err := poll(ctx, func() (bool, error) {
		all, err := in.Queue(ctx)
		for _, q := range all {
			if match(q) {
				found = q
				return true, nil
			}
		}
		return false, err
	})
	if err != nil {
		return Queued{}, in.Log().explain(fmt.Errorf("waiting for the queue: %w", err))
	}
	return found, nil
}

// Cat returns header and body of a queued message.
func (in *Instance) Cat(ctx context.Context, id string) (string, error) {
	return in.run(ctx, "postcat", "-qhb", id)
}

// Flush has all deferred mail tried again at once.
func (in *Instance) Flush(ctx context.Context) error {
	_, err := in.run(ctx, "postqueue", "-f")
	return err
}

// Release takes a message out of the hold queue and has it tried at once.
func (in *Instance) Release(ctx context.Context, id string) error {
	if _, err := in.run(ctx, "postsuper", "-H", id); err != nil {
		return err
	}
	return in.Flush(ctx)
}
