// Package wire is how Postfix's connections are served, whatever is spoken on
// them: [Listen] opens the sockets, [Gate] accepts within limits and drains, and
// [Desk] reads requests by deadlines and gathers the answers until it has to wait
// for the next one. The package knows nothing of verdicts.
package wire
