// Package contrib holds the files that tlsratchet hands to postmasters, so that
// the tests and the demo run on the very same lines. It is data; see the README
// of each folder.
package contrib

import "embed"

// Files are the files of this directory, by their path in it.
//
//go:embed tlsratchet.toml alert grafana postfix prometheus systemd
var Files embed.FS
