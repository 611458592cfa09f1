// Package grafana holds the dashboard that tlsratchet hands to those who run
// Grafana, so that a test can hold it against the metrics. See README.md.
package grafana

import _ "embed"

// Dashboard is tlsratchet.json, as Grafana imports it.
//
//go:embed tlsratchet.json
var Dashboard []byte
