// Package maillog reads Postfix's logs as what they tell of SMTP sessions: who
// sent how many messages, and how well the session was encrypted.
//
// It reads plain text and gzip, zstd, xz and bzip2, with the time of RFC 3164
// (which has no year) or of RFC 3339, and the journal's short-iso and JSON. Of
// each line only what an smtpd(8) process says matters, whatever its
// syslog_name: "connect from", "… TLS connection established from", "client=",
// "disconnect from" and "SSL_accept error". They are joined by process.
//
// A message counts where the milter would have learned from it: at the first
// recipient that Postfix accepted, which is where it logs "client=", with the
// queue id, or with NOQUEUE in front of a proxy filter. Mail that a content
// filter gives back (orig_client) says nothing of a peer.
//
// That a session was in clear is never concluded from a missing line alone. It
// must be seen from connect to disconnect, the disconnect must not speak of a
// STARTTLS that worked, and no line may be known to be lost meanwhile.
// Otherwise its TLS state is unknown; [Session.Unknown] says why. Whether a
// listener logs TLS at all (smtpd_tls_loglevel = 1) is for the caller to ask of
// [Listener].
package maillog
