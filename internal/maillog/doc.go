// Package maillog reads Postfix's logs: who sent how many messages in each SMTP
// session, and how well the session was encrypted; and how each of our own
// messages was delivered.
//
// It reads plain text and gzip, zstd, xz and bzip2; the times of RFC 3164 (which
// has no year), RFC 3339 and RFC 5424; the formats of journalctl; and what
// containers and log shippers write around a line. Sources are merged in the
// order of time, and a line that is in several of them counts once.
//
// On the receiving side only lines of smtpd(8) matter, whatever its syslog_name:
// "connect from", "TLS connection established from", "client=", "disconnect from"
// and "SSL_accept error". They are joined by process. A message counts where the
// milter would have learned from it: at the first recipient that Postfix accepted.
// There it logs "client=", with the queue id, or with NOQUEUE in front of a proxy
// filter. Mail that a content filter gives back (orig_client) does not count. "last
// message repeated N times" is not expanded: lines with a queue id are all
// different, so only mail in front of a proxy filter could count too low.
//
// That a session was in clear is never concluded from a missing line alone. It
// must be seen from connect to disconnect, the disconnect must not count a
// STARTTLS that worked, and no line may be known to be lost. Otherwise its TLS
// state is unknown, and [Session.Unknown] has the reason. A listener that logs no
// TLS at all (smtpd_tls_loglevel = 0) is for the caller to find, by [Listener].
package maillog
