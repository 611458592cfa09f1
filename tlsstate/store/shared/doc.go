// Package shared lets several MX hosts have one memory (RFC 3207 section 6
// suggests one of a peer, not one of a peer and a host). Each host's own store
// stays its full memory; a Valkey or Redis server, version 6 or newer, is where
// the memories meet.
//
// Under one key an identity the server holds the record of
// [tlsstate.History.AppendBinary]. A host joins what it has with what is there
// by [tlsstate.Merge] under compare-and-set: two hosts can't undo each other's
// changes, there is no lock and no leader, and whatever is sent twice, late or
// in another order ends in the same history. A pin forms on the joined record.
// Listeners are a host's own and never leave it.
//
// No message waits for the server, but for one that it could save: see
// [Store.Refresh]. A peer that meets its pins costs no command. What changed
// goes a moment later, in groups.
//
// When the server is away, slow, empty or wrong, the local memory answers
// alone. What changed meanwhile is sent when the server is back; when it lost
// what it had, every host sends everything again, at a measured pace. What it
// holds that can't be understood is left alone and counted.
package shared
