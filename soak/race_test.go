//go:build race

package soak

// memoryLimit is in MiB: the race detector takes several times what the
// program does, so that there the figure only bounds it.
const memoryLimit = 640
