// Package alert sends alerts: changes of incidents, and notices of the breaker
// and the self-check.
//
// It runs off the mail path and never blocks it. It limits how many alerts are
// sent one by one, puts the rest into a digest, and sends both to destinations:
// the log, webhooks, Alertmanager and mail. Each destination has a queue and a
// goroutine of its own, so that one that hangs does not delay the others.
//
// Mail follows RFC 5322 and, as an automatic message, RFC 3834. Names of a
// peer's choice are cleaned, and are no markup in the usual chats.
package alert
