// Package wire carries the milter protocol between Postfix and go-milter's
// server, and mends from outside what that server leaves open: it reads
// without a buffer, believes any length up to 1 MiB, knows no deadline and no
// limit, gives up on the first failed Accept, and can't be drained.
//
// [Listen] opens the sockets, [Gate] accepts within limits and drains, and [Desk]
// reads requests by deadlines and gathers the answers until it has to wait for the
// next one: policy requests and look-ups are served so, and milter sessions. [Server]
// gives those to sessions of go-milter, each behind a net.Conn that has one client
// after the other, negotiates, and refuses what is no milter client before go-milter
// sees it. The package knows frames and nothing of verdicts.
//
// The protocol has no RFC; the names are those of libmilter's mfdef.h
// (SMFIC_ for commands, SMFIR_ for replies, SMFIP_ for protocol options), as
// Postfix speaks them in src/milter/milter8.c.
package wire
