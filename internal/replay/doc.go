// Package replay shows what a policy would have done to the mail of a log, and
// what the daemon would remember if it had been there.
//
// [Run] sends the messages of a log, in the order in which they came, through the
// daemon's ratchet, with a breaker of its own and a memory that begins empty.
// Messages that one session sent on one day in one state of encryption are judged
// together, at the moment of the first. The peers bound its memory, not the lines.
//
// The log knows nothing of SPF, of the addresses and ports that mail came in at,
// and of the self-check: senders are no identities here, a listener is a host and
// a syslog name, and the breaker has no self-check to ask.
package replay
