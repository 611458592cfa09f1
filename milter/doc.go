// Package milter is Postfix on the wire: macros become facts, verdicts become
// replies. It follows the milter protocol, version 2, as Postfix speaks it
// (MILTER_README), over github.com/emersion/go-milter; package milter/wire
// mends that library's server.
//
// A message of a peer that is in good order costs one round trip: "accept" at
// MAIL, and Postfix sends no more of it.
package milter
