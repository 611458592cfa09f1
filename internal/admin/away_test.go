package admin_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/admin"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
	"tlsratchet/tlsstate/store/shared"
)

// flushing is a memory whose Flush ends in an error.
type flushing struct {
	*store.Memory
	err error
}

func (m flushing) Flush(context.Context) error { return m.err }

// While the server is away that hosts share, an operator's act is done on this
// host: a success, that says that the others follow. A disk that fails is none.
func TestActsWhileTheServerIsAway(t *testing.T) {
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		flush error
		later string
		fails bool
	}{
		{"there", nil, "", false},
		{"away", fmt.Errorf("%w: connection refused", shared.ErrAway), "Done on this host; the shared server is away", false},
		{"a full disk", errors.New("no space left"), "", true},
	} {
		w := newWorld(t)
		a := (&admin.Local{Memory: flushing{w.memory, tt.flush}, Rules: func(tlsstate.Kind) *tlsstate.Rules { return rules }, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}).Admin()
		d, err := a.Do(t.Context(), admin.Act{Do: "unpin", Identity: identity("address:192.0.2.10"), Why: "test"})
		if (err != nil) != tt.fails || !strings.HasPrefix(d.Later, tt.later) || (d.Later == "") != (tt.later == "") {
			t.Errorf("%s: unpin: %q, %v", tt.name, d.Later, err)
		}
		if d.Pin != "" || d.Raw.Epoch != 1 {
			t.Errorf("%s: not unpinned here: %+v", tt.name, d)
		}
		done, err := a.Import(t.Context(), "import", "alice", seq([]admin.Line{{Identity: identity("address:192.0.2.99"), History: d.Raw}}))
		if (err != nil) != tt.fails || !strings.HasPrefix(done.Later, tt.later) || done.Changed != 1 {
			t.Errorf("%s: import: %+v, %v", tt.name, done, err)
		}
	}
}
