// Command tlsratchet remembers how well each mail peer encrypts, and reports the
// day one that always used TLS arrives without it. It is a milter for Postfix;
// see README.md.
package main

import "os"

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }
