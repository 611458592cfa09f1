// Package replay shows what a policy would have done to the mail of a log, and
// makes of the log what the daemon would remember had it been there.
//
// [Read] folds a log by day: of each client, listener and kind of encryption
// only the first moment and the counts of each day are kept. So any order of
// files, and any line or file that is there twice, gives the same memory, and
// what it takes is bounded by the peers and their days, not by the lines.
// [Log.Judge] then sends the days through the same ratchet that the daemon has,
// on a memory of its own that begins empty; it may be called with one policy
// after another.
//
// Within a day a client's sessions of one kind are judged together, at the
// moment of the first. The breaker is not played: where it would have acted is
// told with the incidents that look like our own fault.
package replay
