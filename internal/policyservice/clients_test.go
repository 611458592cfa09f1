package policyservice

import (
	"io"
	"net"
	"testing"
	"time"

	"tlsratchet/internal/inbound"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
)

// TestManyClients: as many connections as are granted are served, the next one
// is closed at once, and then there is room again.
func TestManyClients(t *testing.T) {
	r := newRig(t, tlsstate.Reject, inbound.Options{}, nil)
	all := make([]*client, DefaultLimits().Connections)
	for i := range all {
		all[i] = r.dial()
		if got := all[i].ask(overTLS, "instance=1"); got != "DUNNO" {
			t.Fatalf("client %d: %s", i, got)
		}
	}
	over := r.dial()
	if text, err := io.ReadAll(over.in); len(text) > 0 || err != nil {
		t.Errorf("one too many: %q, %v", text, err)
	}
	for i := range all {
		if got := all[i].ask(overTLS, "instance=2"); got != "DUNNO" {
			t.Fatalf("client %d, second message: %s", i, got)
		}
		all[i].c.Close()
	}
	if s := r.server.Stats(); s.Accepted != int64(len(all)) || s.OverLimit != 1 || s.Requests != 2*uint64(len(all)) {
		t.Errorf("%+v", s)
	}
}

// TestSlowClients: one that stops within a request, or sends nothing, is closed;
// one that half-closes its connection gets its answer.
func TestSlowClients(t *testing.T) {
	r := newRig(t, tlsstate.Reject, inbound.Options{}, nil, func(l *wire.DeskLimits) { l.Idle, l.Request = time.Second, 50*time.Millisecond })
	for _, text := range []string{"request=smtpd_access_policy\nprotocol_state=RC", ""} {
		c := r.dial()
		io.WriteString(c.c, text)
		if got, err := io.ReadAll(c.in); len(got) > 0 || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if n := r.server.Stats().Timeouts; n != 2 {
		t.Errorf("%d timeouts, want 2", n)
	}
	c := newRig(t, tlsstate.Reject, inbound.Options{}, nil).dial()
	io.WriteString(c.c, "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address=192.0.2.10\nserver_port=25\n\n")
	c.c.(*net.UnixConn).CloseWrite()
	if got, err := io.ReadAll(c.in); string(got) != "action=DUNNO\n\n" || err != nil {
		t.Errorf("half-closed: %q, %v", got, err)
	}
}
