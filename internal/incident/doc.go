// Package incident groups downgrades into incidents, so that a stripped peer is
// reported once and not once a message: the warning of RFC 3207 section 6.
//
// An incident opens at the first downgrade of an identity, counts all that
// follow, and closes when an address in it meets the pin again or after 24
// hours without a downgrade. Incidents outlive a restart in a file of their own,
// 10,000 at most, for 180 days. Each is a line of its own there: a damaged line
// costs one incident. The lines have no checksum, as a record of the history has:
// what a flipped bit leaves valid is one wrong word or number within the bounds
// that are checked, in a report. The [Tally] counts messages by day. Both are for
// people; no decision depends on them.
package incident
