// Package incident folds downgrades into incidents, so that people hear of a
// stripped peer once and not once a message: the warning of RFC 3207 section 6.
//
// An incident opens at the first downgrade of an identity, gathers all that
// follow, and closes when an address in it meets the pin again or after 24
// quiet hours. Incidents outlive a restart in a file of their own, 10,000 at
// most, for 180 days. Beside them is the [Tally]: counts of messages for
// people. No decision rests on either.
//
// Time is the sessions' own, and that of [Book.Tick].
package incident
