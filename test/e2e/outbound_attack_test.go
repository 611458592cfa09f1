package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// TestOutboundSocketUnderAttack: garbage, half requests, floods that nobody reads
// and reloads at once change no answer.
func TestOutboundSocketUnderAttack(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}})
	d := serve(t, s.in.MilterSocket(), taught(t, tlsstate.TLS12, 30, "destination:bank.test"), s.config(hold))
	s.sinks["mx.bank.test"].Set(posttest.Behaviour{NoOffer: true})
	flood := strings.Repeat("get bank.test\r\n", 5_000)
	for i := range 120 {
		c, err := net.Dial("unix", s.in.PolicySocket())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go io.WriteString(c, []string{"get bank.te", "\x00\xff\n", "9999999:", "12:pol", strings.Repeat("get ", 5000), flood}[i%6])
		if i%20 == 0 {
			d.cmd.Process.Signal(syscall.SIGHUP)
		}
	}
	for n := range 3 {
		s.send(fmt.Sprintf("n%d@bank.test", n))
		s.line(fmt.Sprintf(`to=<n%d@bank\.test>.* dsn=4\.7\.4, status=deferred`, n))
	}
	d.wait("msg=\"mail held\"")
}
