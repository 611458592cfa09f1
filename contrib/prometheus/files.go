// Package prometheus holds what tlsratchet hands to those who run Prometheus,
// so that the tests run on the very same lines. See README.md.
package prometheus

import "embed"

// Files are the files of this directory, by name: alerting rules with their
// tests, and an example of what to scrape.
//
//go:embed *.yml
var Files embed.FS
