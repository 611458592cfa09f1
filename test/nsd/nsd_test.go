package nsd

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"tlsratchet/internal/peer/spf/resolver"
)

func TestStart(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	addr := Start(t, map[string]string{
		"broken":  "",
		"example": "$ORIGIN example.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n",
	})
	for name, want := range map[string]error{"ns.example": nil, "none.example": resolver.ErrNotFound, "a.broken": resolver.ErrFailed} {
		q, err := resolver.Ask(name, resolver.TypeA)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := resolver.Network(addr)(t.Context(), q); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}
