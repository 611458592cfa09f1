//go:build !race

package soak

// memoryLimit is in MiB, of anonymous memory.
const memoryLimit = 160
