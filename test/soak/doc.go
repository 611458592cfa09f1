// Package soak holds long trials: of the memory, with kills, damage, floods and
// a start with a million peers, and of the daemon, with clients that stop
// half-way, claim too much, or take all descriptors. `go test` runs short forms
// of them, and `make soak` the long ones, with the figures that they must meet.
// Where memory or a kill matters, it is the daemon or the store in a process of
// its own.
package soak
