// Package milter is Postfix on the wire: macros become facts, verdicts become
// replies. It follows the milter protocol, version 2, as Postfix speaks it in
// src/milter/milter8.c (MILTER_README). The protocol has no RFC; its names are
// those of libmilter's mfdef.h: SMFIC_ for commands, SMFIR_ for replies, SMFIF_ and
// SMFIP_ for what is negotiated.
//
// A message of a peer that is in good order costs one round trip: "accept" at
// MAIL, and Postfix sends no more of it.
package milter
