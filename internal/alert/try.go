package alert

import (
	"context"
	"sync"
	"time"
)

// Result is what came back from a destination.
type Result struct {
	Destination string `json:"destination"`
	// Answer is what it said, clean; Err is nil if it took the message.
	Answer string        `json:"answer,omitempty"`
	Err    error         `json:"-"`
	Took   time.Duration `json:"-"`
}

// Test sends a message to each of the destinations, whatever its least
// severity, and returns what came back, in their order. It doesn't need
// [Alerts].
func Test(ctx context.Context, to []*Destination, host string) []Result {
	results := make([]Result, len(to))
	var all sync.WaitGroup
	for i, d := range to {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, d.timeout)
			defer cancel()
			begun := time.Now()
			answer, err := d.sender.send(ctx, testMessage(host, begun))
			results[i] = Result{Destination: d.Name, Answer: answer, Err: err, Took: time.Since(begun)}
		})
	}
	all.Wait()
	return results
}

func testMessage(host string, at time.Time) *Message {
	m := newMessage(host, WhatTest, WhatTest, StatusNone, Info, at)
	m.Title = "a test of tlsratchet's alerts"
	m.Text = "Somebody asked tlsratchet at " + name(host) + " for it. There is nothing to do."
	return m
}
