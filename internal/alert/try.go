package alert

import (
	"context"
	"sync"
	"time"

	"tlsratchet/internal/clean"
)

// Result is the result of a test message.
type Result struct {
	Destination string `json:"destination"`
	// Answer is the destination's, clean; Err is nil if it accepted the message.
	Answer string        `json:"answer,omitempty"`
	Err    error         `json:"-"`
	Took   time.Duration `json:"-"`
}

// Test sends a message to each of the destinations, whatever its least
// severity, and returns the results in their order. It doesn't need [Alerts].
func Test(ctx context.Context, to []*Destination, host string) []Result {
	results := make([]Result, len(to))
	var all sync.WaitGroup
	for i, d := range to {
		all.Go(func() {
			begun := time.Now()
			answer, err := d.send(ctx, testMessage(host))
			results[i] = Result{Destination: d.Name, Answer: answer, Err: err, Took: time.Since(begun)}
		})
	}
	all.Wait()
	return results
}

func testMessage(host string) *Message {
	return Message{
		Key: WhatTest, What: WhatTest, Title: "test alert of tlsratchet",
		Text: "Sent by the command tlsratchet alert test at " + clean.Name(host) + ". No action is needed.",
	}.from(host)
}
