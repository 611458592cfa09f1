// Package posttest runs private Postfix instances on loopback, for the demo and
// for tests: the real smtpd(8), cleanup(8) and smtp(8), each instance with its
// own configuration, queue, log and ports, in one directory that is removed
// with it. The system's own Postfix is never read, changed or started.
//
// The configuration of an [Instance] is the one that contrib/postfix hands to
// postmasters, with a private part after it, so that those files stay true.
//
// What a peer does is played by a [Peer] (any SMTP session, RFC 5321, with
// STARTTLS, RFC 3207, and Postfix's XCLIENT), or by a second instance that
// relays. [Strip] is the man in the middle between them.
//
// Postfix changes to its own user, so all this needs root: see [Require] and
// [Install].
package posttest
