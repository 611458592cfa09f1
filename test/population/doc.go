// Package population is a made-up world to try the rules on: 120 days of mail
// from thousands of peers, with attacks among it, of which the truth is known.
// It runs the real code of package ratchet in simulated time and counts what
// each rule catches, delays and loses. Other rules are tried beside ours.
//
// The mail that we send has a world of its own: destinations (sendkinds.go), a
// Postfix that asks and retries (sendrun.go), and the real code of package
// outbound that answers and learns.
//
// What the peers are like is a table (kinds.go), and so are the attacks
// (attacks.go) and the rules (rules.go). They are estimates: the figures compare
// rules with each other, and show what a rule does to which kind of peer; they
// do not show how many of each kind there are. Nothing here is built into the
// daemon.
package population
