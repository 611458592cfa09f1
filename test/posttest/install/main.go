// Command install installs Postfix for the demo and the tests, where it is
// missing: see [posttest.Install]. With arguments it installs those packages of
// Debian's instead. It exits 1 with the reason if it fails.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"tlsratchet/test/posttest"
)

func main() {
	if err := install(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func install(packages []string) error {
	if len(packages) == 0 {
		return posttest.Install(os.Stderr)
	}
	for _, name := range packages {
		if exec.Command("dpkg", "-s", name).Run() == nil {
			continue
		}
		if err := posttest.InstallPackage(context.Background(), os.Stderr, name); err != nil {
			return err
		}
	}
	return nil
}
