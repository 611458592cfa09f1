package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// stamped is the version that make sets (-ldflags -X), from the tag or the
// changelog.
var stamped string

// version returns the stamped version, else the one that Go derives from tag and
// commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if stamped != "" || !ok {
		return cmp.Or(stamped, "(devel)")
	}
	return cmp.Or(info.Main.Version, "(devel)")
}

func printVersion(c *cli.Context) error {
	fmt.Fprintf(c.App.Writer, "tlsratchet %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
