// Package resolver asks DNS what SPF needs to know (RFC 7208 section 5), by the
// standard library's resolver, and uses an answer for five minutes, a negative
// one or a failure (RFC 9520) for ten seconds.
//
// All of it is bounded: entries and bytes of the cache, questions under way, the
// time of one, and the length of an SPF record. The decision is in
// docs/decisions/resolver.md.
package resolver
