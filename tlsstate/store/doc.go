// Package store keeps histories: [File] durably, in a bbolt file behind a
// scan-resistant cache, and [Memory] for trials, until the process ends. It is
// the "record that TLS was used" of RFC 3207 section 6.
//
// A store never computes a history of its own: it joins what it gets with what
// it has by [tlsstate.Merge]. So a change may be lost, repeated or combined with
// another host's without harm. A change without effect is not written.
//
// Nobody who delivers mail waits for the disk to write: a change is seen at
// once, gathers with others in memory for half a second, and is committed in a
// group. It waits longer only while the group before it is being written. A kill
// or a power cut loses what is in no finished commit: on a machine that keeps up
// what is younger than a second, on one that doesn't also what it is late with.
// The peer's next message makes it again. A read that misses the cache waits for
// the disk no longer than [Options].ReadTimeout.
//
// The file is bounded by a cap, by age and by quotas on newcomers of one
// network: over the cap strangers go first, then the heaviest operator's. Once
// a day it is copied, and a daemon that finds it damaged goes on with the last
// good copy: see [OpenOrRecover].
//
// A file that is mapped into memory can kill the process that reads it when it
// is damaged. So the whole file is verified by ordinary reads before it is
// mapped, and later faults in it come back as [ErrDamaged].
package store
