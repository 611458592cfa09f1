package e2e

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestOutboundLookups: what Postfix asks for a delivery. One key for a pinned
// destination, whichever host takes it; a destination that is not found costs one
// more for each of its parent domains.
func TestOutboundLookups(t *testing.T) {
	s := newOutbox(t, map[string][]string{
		"pinned.test": {"mx.pinned.test"}, "shop.other.test": {"mx.other.test"},
	})
	var mu sync.Mutex
	var asked []string
	defer s.answerer(func(c net.Conn) {
		for in := bufio.NewScanner(c); in.Scan(); {
			key, answer := strings.TrimPrefix(in.Text(), "get "), "END\r\n"
			if key == "pinned.test" {
				answer = "VALUE pinned.test 0 7\r\nencrypt\r\nEND\r\n"
			}
			mu.Lock()
			asked = append(asked, key)
			mu.Unlock()
			fmt.Fprint(c, answer)
		}
	})()
	for _, tt := range []struct {
		to   string
		want []string
	}{
		{"ann@pinned.test", []string{"pinned.test"}},
		{"bob@pinned.test", []string{"pinned.test"}},
		{"ann@shop.other.test", []string{"shop.other.test", ".other.test", ".test"}},
	} {
		s.send(tt.to)
		s.arrives(tt.to)
		mu.Lock()
		if !slices.Equal(asked, tt.want) {
			t.Errorf("for %s: asked for %q, want %q", tt.to, asked, tt.want)
		}
		asked = nil
		mu.Unlock()
	}
}
