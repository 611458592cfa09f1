package tlsstate

import (
	"math"
	"math/bits"
)

// Sketch counts distinct things in 64 bits by linear counting (Whang, 1990):
// good to a tenth or so up to 50, which is all that [Verdict.Broad] asks.
type Sketch uint64

// Mark returns the sketch that holds one thing, given by its bytes (FNV-1a).
func Mark(thing []byte) Sketch {
	h := uint64(14695981039346656037)
	for _, c := range thing {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h ^= h >> 33 // FNV leaves the low bits badly mixed
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	return 1 << (h & 63)
}

// Estimate returns about how many distinct things were marked, 0 to 266.
func (s Sketch) Estimate() int {
	zero := 64 - bits.OnesCount64(uint64(s))
	if zero == 0 {
		zero = 1
	}
	return int(math.Round(64 * math.Log(64/float64(zero))))
}

// Senders counts the senders of a domain that SPF proved: in its low half those
// that came again from the address they had, in its high half those that came
// from another one. A sender has the same bit in both.
type Senders uint64

const halfSenders = 32

// SenderMark returns the mark of one sender, given by its name.
func SenderMark(sender string, moves bool) Senders {
	bit := bits.TrailingZeros64(uint64(Mark([]byte(sender)))) % halfSenders
	if moves {
		bit += halfSenders
	}
	return 1 << bit
}

// Stay reports whether the senders keep to one address each: they are customers
// with hosts of their own, and no pool. Senders that move outweigh those that
// stay: some have an address to themselves at a pool, too.
func (s Senders) Stay() bool {
	moving := uint32(s >> halfSenders)
	staying := bits.OnesCount32(uint32(s) &^ moving)
	return staying >= stayingSenders && staying > stayingOf*bits.OnesCount32(moving)
}

const (
	stayingSenders = 3
	stayingOf      = 2
)
