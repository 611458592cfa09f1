package config

import (
	"fmt"
	"io"
	"strings"
)

// Write writes the configuration as it is in effect, every key with its value,
// as a file that loads back to the same.
func (c *Config) Write(w io.Writer) error {
	var b strings.Builder
	table := ""
	for _, s := range settings() {
		in, key, nested := strings.Cut(s.key, ".")
		if !nested {
			in, key = "", s.key
		}
		if in != table {
			fmt.Fprintf(&b, "\n[%s]\n", in)
			table = in
		}
		fmt.Fprintf(&b, "%s = %s\n", key, s.show(c))
	}
	for i := range c.Peers {
		writeRow(&b, "peer", peerSettings(), &c.Peers[i])
	}
	for i := range c.Sends {
		writeRow(&b, "send", sendSettings(), &c.Sends[i])
	}
	for i := range c.Destinations {
		writeRow(&b, "destination", destinationSettings(), &c.Destinations[i])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeRow leaves out what the row doesn't set.
func writeRow[T any](b *strings.Builder, name string, all []setting[T], row *T) {
	fmt.Fprintf(b, "\n[[%s]]\n", name)
	for _, s := range all {
		if v := s.show(row); v != s.show(new(T)) {
			fmt.Fprintf(b, "%s = %s\n", strings.TrimPrefix(s.key, name+"."), v)
		}
	}
}
