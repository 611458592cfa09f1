package milter_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/milter"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// A milter with a memory of its own, served on a TCP port.
func ExampleNew() {
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	log := slog.New(slog.DiscardHandler)
	histories := store.NewMemory(1000)
	defer histories.Close()
	m := milter.New(inbound.Deps{
		Judge:  ratchet.New(ratchet.Options{Histories: histories, Rules: rules, Log: log}),
		Now:    time.Now,
		Events: func(e ratchet.Event) { log.Info("judged", "outcome", e.Decision.Outcome.String()) },
		Log:    log,
	}, inbound.Options{ExemptRecipients: inbound.Recipients{"postmaster"}}, nil)
	server := wire.New(wire.Config{
		Backend: m.Backend, Actions: milter.Actions, Protocol: milter.Protocol, SymList: milter.Symbols(),
		KeepHeader: milter.KeepHeader, Limits: wire.DefaultLimits(), Log: log,
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Println(server.Shutdown(context.Background()), <-served)
	// Output: <nil> <nil>
}
