// Package tlsstate remembers how well an SMTP peer encrypts, and judges a
// session against that memory.
//
// It is the record that RFC 3207 section 6 suggests: note that TLS was used
// with a peer, and warn when a later session does not use it. A [History] is a
// small join-semilattice: [Merge] is commutative, associative and idempotent,
// and [Judge], [History.Unpin] and [History.Forget] only ever grow a history,
// so that a write may be lost, repeated or met by another host's without harm.
//
// The package is pure: no I/O, no clock, no log. The day is part of the
// [Observation].
package tlsstate
