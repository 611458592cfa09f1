package store_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// A history grows by what Judge makes of a session, inside Update: so sessions
// at the same time lose nothing.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	histories, err := store.Open(filepath.Join(dir, "history.db"), store.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer histories.Close()

	rule := tlsstate.DefaultPolicy()
	peer := tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"}
	for day := tlsstate.Day(20_000); day < 20_005; day++ {
		session := tlsstate.Observation{Day: day, Security: tlsstate.Security{Level: tlsstate.TLS13, Protocol: "TLSv1.3"}}
		_, err := histories.Update(peer, netip.Addr{}, day, func(h tlsstate.History) tlsstate.History {
			_, after := tlsstate.Judge(h, session, &rule)
			return after
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	h, err := histories.Load(peer)
	fmt.Println(h.TopPin(&rule, 20_005), err)
	// Output: TLSv1.2 <nil>
}
