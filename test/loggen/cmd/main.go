// Command cmd writes a made-up Postfix log:
//
//	go run ./test/loggen/cmd -lines 5000000 > mail.log
package main

import (
	"flag"
	"fmt"
	"os"

	"tlsratchet/test/loggen"
)

func main() {
	var o loggen.Options
	flag.IntVar(&o.Lines, "lines", 1_000_000, "how many lines")
	flag.IntVar(&o.Peers, "peers", 20_000, "how many clients send mail")
	flag.IntVar(&o.Days, "days", 30, "how many days")
	flag.Uint64Var(&o.Seed, "seed", 0, "makes another log of the same kind")
	flag.StringVar((*string)(&o.Format), "format", "bsd", "bsd, iso or json")
	flag.Parse()
	if err := loggen.Write(os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "loggen:", err)
		os.Exit(1)
	}
}
