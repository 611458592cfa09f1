package e2e

import (
	"context"
	endian "encoding/binary"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	gomilter "github.com/emersion/go-milter"
	"github.com/google/go-cmp/cmp"

	"tlsratchet/milter"
	"tlsratchet/milter/wire"
	"tlsratchet/test/posttest"
)

// TestSymbols shows that Postfix looks up no macros but those that the milter
// wants: its own lists are not for a milter that asks for something at each stage.
func TestSymbols(t *testing.T) {
	server := wire.New(wire.Config{
		Backend: func() gomilter.Milter { return gomilter.NoOpMilter{} },
		Actions: milter.Actions, Protocol: milter.Protocol, SymList: milter.Symbols(),
		KeepHeader: milter.KeepHeader, Limits: wire.DefaultLimits(), Log: slog.New(slog.DiscardHandler),
	})
	socket := filepath.Join(t.TempDir(), "milter.sock")
	for dir := filepath.Dir(socket); dir != os.TempDir(); dir = filepath.Dir(dir) { // Postfix must get there
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	lns, err := wire.Listen(wire.Spec{Network: wire.NetworkUnix, Address: socket}, wire.ListenOptions{Mode: 0o666, Group: -1})
	if err != nil {
		t.Fatal(err)
	}
	spy := &recorder{Listener: lns[0]}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(spy) }()
	in := newPostfix(t, posttest.Options{Main: []string{"smtpd_milters = unix:" + socket}})
	c, err := posttest.Peer{Server: in.Addr(0), TLS: in.ClientTLS()}.Connect(limit(t))
	if err != nil {
		t.Fatal(err)
	}
	mail := posttest.Mail{From: "alice@peer.example", To: []string{"bob@ours.example"}, Body: "Hello.\n"}
	if _, err := c.Send(mail); err != nil {
		t.Fatal(err)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	got := spy.macros()
	if at := got['M']; !strings.Contains(at, "{client_addr}") || !strings.Contains(at, "{tls_version}") {
		t.Errorf("at MAIL: %q", at)
	}
	delete(got, 'M')
	if diff := cmp.Diff(map[byte]string{'C': "", 'H': "", 'L': "", 'R': "", 'E': "i"}, got); diff != "" {
		t.Errorf("macros by command:\n%s", diff)
	}
}

// recorder keeps what comes on the connections that it accepts.
type recorder struct {
	net.Listener
	mu  sync.Mutex
	all []*strings.Builder
}

// Accept returns a connection whose input is kept.
func (r *recorder) Accept() (net.Conn, error) {
	c, err := r.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, &strings.Builder{})
	return recorded{c, io.TeeReader(c, r.all[len(r.all)-1])}, nil
}

type recorded struct {
	net.Conn
	in io.Reader
}

// Read reads and keeps.
func (r recorded) Read(p []byte) (int, error) { return r.in.Read(p) }

// macros returns the names of the macros that came, by the command that they
// were for.
func (r *recorder) macros() map[byte]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := map[byte]string{}
	for _, one := range r.all {
		for in := one.String(); len(in) > 5; in = in[4+endian.BigEndian.Uint32([]byte(in)):] {
			packet := in[4 : 4+endian.BigEndian.Uint32([]byte(in))]
			if packet[0] != 'D' {
				continue
			}
			var all []string
			for i, text := range strings.Split(strings.TrimSuffix(packet[2:], "\x00"), "\x00") {
				if i%2 == 0 {
					all = append(all, text)
				}
			}
			names[packet[1]] = strings.Join(all, " ")
		}
	}
	return names
}
