// Package status shows what goes on, to Prometheus and to people: metrics, two
// answers to the question whether the daemon is well, and a page. All of it is
// read-only, needs no script, asks for nothing elsewhere, and knows no label or
// link that a peer can choose. Texts of peers are cleaned, then escaped.
package status
