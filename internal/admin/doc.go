// Package admin is the operations that an operator has: looking at peers,
// asking what would happen to a session, dropping a pin, moving the memory.
//
// An [Admin] has them. [Local] makes one that works on the memory itself, in the
// daemon or on the file when no daemon runs; [Dial] one that asks the daemon
// over HTTP on its unix socket, which [Handler] serves. The bodies are JSON,
// lists one object a line, as the commands print them with --json.
package admin
