// Package wire carries the milter protocol between Postfix and go-milter's
// server, and mends from outside what that server leaves open: it reads
// without a buffer, believes any length up to 1 MiB, knows no deadline and no
// limit, gives up on the first failed Accept, and can't be drained.
//
// [Listen] opens the sockets. [Server] accepts, and gives each connection a
// go-milter server of its own behind a net.Conn that reads buffered, gathers
// replies until the next read, negotiates, refuses what is no milter client
// before go-milter sees it, and can be drained without losing a reply. The
// package knows frames and nothing of verdicts.
//
// The protocol has no RFC; the names are those of libmilter's mfdef.h
// (SMFIC_ for commands, SMFIR_ for replies, SMFIP_ for protocol options), as
// Postfix speaks them in src/milter/milter8.c.
package wire
