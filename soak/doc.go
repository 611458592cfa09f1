// Package soak holds long trials of the whole memory: kills, damage, floods,
// and a start with a million peers. `go test` runs short forms of them, and
// `make soak` the long ones, with the figures that they must meet. Where memory
// or a kill matters, the store runs in a process of its own.
package soak
