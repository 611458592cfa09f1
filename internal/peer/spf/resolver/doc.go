// Package resolver asks DNS what SPF needs to know (RFC 7208 section 5), and
// remembers the answers for as long as they say: TTL of RFC 1035, negative
// answers by RFC 2308, failures for some seconds (RFC 9520).
//
// It is a stub: it asks a recursive resolver, by UDP with EDNS(0) (RFC 6891) of
// a size that isn't fragmented, and by TCP what doesn't fit. All of it is
// bounded: entries and bytes of the cache, questions under way, the time of
// one, and the length of an SPF record. The net package of Go would do but for
// the TTL, which it doesn't tell.
package resolver
