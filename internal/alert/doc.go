// Package alert tells people what happened: who is told, how often, and where.
//
// It takes changes of incidents and notices of other kinds (the breaker, the
// self-check), off the mail path and without ever blocking, limits how many are
// told, gathers the rest into a digest, and hands them to destinations: the
// log, webhooks, Alertmanager and mail. Each destination has a queue and a
// goroutine of its own, so that one that hangs holds nothing up.
//
// Mail follows RFC 5322 and, as an automatic message, RFC 3834. Whatever a peer
// chose is clean, and inert in the markup of the usual chats.
package alert
