// Package spf proves identities of the kind sender: that a client may speak for
// the domain of its MAIL FROM, by SPF (RFC 7208).
//
// The name of such an identity is that domain and, after a slash, the client's
// own organisational domain, or its network where it has none:
// "bank.example/outbound.example", "bank.example/192.0.2.0/24". So a newsletter
// host that a bank's SPF record names has a memory of its own, and can't spoil,
// or lend, that of the bank's mail servers.
//
// A proof is a pass by a mechanism that names hosts. None are "all", "ptr"
// (RFC 7208 section 5.5 advises against it), and whatever would pass a stranger
// too: SPF is evaluated once more, from the same answers, for the address with
// its 16th bit flipped (of IPv6 the 32nd), and a second pass proves nothing. So
// a range wider than /16 (/32) never does, in whatever words it comes; nor do
// two such ranges side by side.
//
// Whatever goes wrong, a slow or dead DNS, a limit, a bug, ends in "not
// proven", soon, and is counted. DNS is no amplifier: what is asked is limited
// for one proof, for one client network, and in all for claims that nothing is
// remembered of.
package spf
