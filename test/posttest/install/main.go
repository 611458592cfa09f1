// Command install installs Postfix for the demo and the tests, where it is
// missing: see [posttest.Install]. It exits 1 with a sentence where it can't.
package main

import (
	"fmt"
	"os"

	"tlsratchet/test/posttest"
)

func main() {
	if err := posttest.Install(os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
