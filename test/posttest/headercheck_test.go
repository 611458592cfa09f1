package posttest_test

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/emersion/go-milter"

	"tlsratchet/test/posttest"
)

// adder is a milter that adds our header at the end of each message.
type adder struct{ milter.NoOpMilter }

func (adder) Body(m *milter.Modifier) (milter.Response, error) {
	return milter.RespAccept, m.AddHeader("X-TLS-Ratchet", "ours")
}

// main.cf.header_checks drops what the client sent and leaves what the milter
// adds.
func TestHeaderChecksLeaveOurs(t *testing.T) {
	in := start(t, posttest.Options{Parts: []string{"main.cf.tls", "main.cf.tlsratchet", "main.cf.header_checks"}})
	l, err := net.Listen("unix", in.MilterSocket())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(in.MilterSocket(), 0o666); err != nil {
		t.Fatal(err)
	}
	s := milter.Server{NewMilter: func() milter.Milter { return adder{} }, Actions: milter.OptAddHeader}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	defer func() { l.Close(); <-done }()
	c := connect(t, posttest.Peer{Server: in.Addr(0), TLS: in.ClientTLS()})
	send(t, c, "hello", "X-TLS-Ratchet: forged")
	got := string(receive(t, in, "hello").Raw)
	if !strings.Contains(got, "X-TLS-Ratchet: ours") || strings.Contains(got, "forged") {
		t.Errorf("%s", got)
	}
	// Postfix ends the milter's connection with its own.
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
}
