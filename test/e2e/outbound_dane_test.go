package e2e

import (
	"strings"
	"testing"

	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// TestOutboundNeverWeakens: where an answer of ours would switch DANE off, in
// main.cf or for one transport, nothing is answered, and the log states why.
func TestOutboundNeverWeakens(t *testing.T) {
	for name, tt := range map[string]struct{ main, want string }{
		"dane":    {"smtp_tls_security_level = dane", "would switch DANE off"},
		"encrypt": {"smtp_tls_security_level = encrypt", "there is nothing to add"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}}, tt.main)
			d := serve(t, s.in.MilterSocket(), taught(t, tlsstate.TLS12, 30, "destination:bank.test"), s.config(hold))
			if line := d.wait("destinations are not held"); !strings.Contains(line, tt.want) {
				t.Error(line)
			}
			s.sinks["mx.bank.test"].Set(posttest.Behaviour{NoOffer: name == "dane"})
			s.send("ann@bank.test")
			if v, _ := s.arrives("ann@bank.test"); (v == 0) != (name == "dane") {
				t.Errorf("version %x", v)
			}
		})
	}
}
