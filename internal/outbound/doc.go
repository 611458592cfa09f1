// Package outbound holds the destinations of our own mail to the TLS that they
// always used, as package ratchet does with the peers that send to us.
//
// Postfix asks for the policy of each destination (smtp_tls_policy_maps). The
// answer is "encrypt" for a destination whose pin holds and nothing for all
// others: a [Server] gives it over Postfix's memcache table type, which fails
// open, or over socketmap, which fails closed. What really happened to each
// delivery is learned from Postfix's log. RFC 3207 section 6 is the charter
// here too; RFC 7672 (DANE) and RFC 8461 (MTA-STS) always win.
package outbound
