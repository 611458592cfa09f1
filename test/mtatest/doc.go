// Package mtatest plays Postfix to a milter, for tests and as a load
// generator: a raw client with Postfix's order of events, macros, aborts and
// habits of buffering (src/milter/milter8.c), several messages a session.
//
// go-milter's own client can't talk to go-milter's own server, and is too
// polite for hostile tests: [Session.Send], [Session.Recv] and [Session.Conn]
// say what no MTA says.
package mtatest
