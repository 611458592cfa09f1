// Package ratchet is the one sequence that every session goes through, live or
// from a log: load the histories of its identities, judge them, combine the
// verdicts, and save what was learned.
//
// It is fail-open (law 1): whatever goes wrong inside ends in the outcome
// unknown, which no action follows.
package ratchet
