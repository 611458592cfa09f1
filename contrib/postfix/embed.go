// Package postfix holds the Postfix configuration that tlsratchet hands to
// postmasters, so that the demo and the tests run on the very same lines. See
// README.md for what each file is for.
package postfix

import "embed"

// Files are the files of this directory, by name: parts of main.cf and
// master.cf, and lookup tables.
//
//go:embed main.cf.* master.cf.* header_checks.*
var Files embed.FS
