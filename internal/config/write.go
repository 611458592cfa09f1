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
	for _, s := range settings(c) {
		in, key, nested := strings.Cut(s.name, ".")
		if !nested {
			in, key = "", s.name
		}
		if in != table {
			fmt.Fprintf(&b, "\n[%s]\n", in)
			table = in
		}
		fmt.Fprintf(&b, "%s = %s\n", key, s.show())
	}
	writeRows(&b, "peer", peerSettings, c.Peers)
	writeRows(&b, "send", sendSettings, c.Sends)
	writeRows(&b, "destination", destinationSettings, c.Destinations)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeRows leaves out what a row doesn't set.
func writeRows[T any](b *strings.Builder, name string, keys func(*T) []setting, all []T) {
	unset := keys(new(T))
	for i := range all {
		fmt.Fprintf(b, "\n[[%s]]\n", name)
		for k, s := range keys(&all[i]) {
			if v := s.show(); v != unset[k].show() {
				fmt.Fprintf(b, "%s = %s\n", strings.TrimPrefix(s.name, name+"."), v)
			}
		}
	}
}
