// Package peer turns what Postfix reports of an SMTP client into identities:
// proven names under which a history is kept (package tlsstate).
//
//   - address is proven by TCP: one IPv4 or IPv6 address. It is always there.
//   - domain is proven by DNS: the organisational domain of the client name that
//     Postfix confirmed forward and back (the iprev of RFC 8601 section 3).
//     The public suffix list decides, its private section included. A name that
//     embeds its own address gives none: dial-up and cloud customers share a
//     domain and are strangers to each other.
//   - listener is our own port.
//
// Names are A-labels (RFC 5890) in lower case, of the length that RFC 1035
// section 2.3.4 allows, without a trailing dot. All that a client can choose is
// checked here: what comes out holds only 0x21 to 0x7E. Strings that were clean
// already are kept, not copied: they may share memory with those of the Client.
//
// The package is pure: it asks no DNS and keeps nothing.
package peer
