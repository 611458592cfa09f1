package e2e

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"tlsratchet/test/posttest"
)

// TestPolicyCertificates: self-signed client certificates, by the fingerprints
// that Postfix sends to the policy service.
func TestPolicyCertificates(t *testing.T) {
	in := newPostfix(t, posttest.Options{Parts: []string{"main.cf.tls", "main.cf.policy", "main.cf.client-certs"}})
	w := world{T: t, Instance: in, policy: true}
	own, other := w.selfSigned(), w.selfSigned()
	t.Run("the key that always came, none, another", func(t *testing.T) {
		w := world{T: t, Instance: in, policy: true}
		d := w.serve("", all+"[policy]\npin_after_days = 1\npin_certificates = \"key\"\nunauthenticated = \"reject\"\n")
		w.has(w.delivered(w.bank("192.0.2.70", own), mail("its key")), "new; identity=address:192.0.2.70")
		w.has(w.delivered(w.bank("192.0.2.70", own), mail("its key again")), "steady; identity=address:192.0.2.70")
		for _, tt := range []struct {
			name string
			tls  *tls.Config
		}{{"none", w.tls13()}, {"another", other}} {
			w.has(w.send(w.bank("192.0.2.70", tt.tls), mail(tt.name)).String(), "Recipient address rejected: 192.0.2.70: client certificate required: you showed it on 1 of the last 64 days")
		}
		w.has(d.wait("kind=unauthenticated"), "pin=certificate")
		w.has(w.delivered(w.bank("192.0.2.70", own), mail("its key at last")), "steady; identity=address:192.0.2.70")
	})
	t.Run("a row, two fingerprints", func(t *testing.T) {
		w := world{T: t, Instance: in, policy: true}
		row := fmt.Sprintf("[[peer]]\ndomain = \"mx1.bank.example\"\naction = \"tempfail\"\nfingerprint = [%q, %q]\n", fingerprint(own), strings.Repeat("AB", 32))
		w.serve("", all+row)
		w.has(w.delivered(w.bank("192.0.2.71", own), mail("of the row")), "new; identity=address:192.0.2.71")
		w.has(w.send(w.bank("192.0.2.71", other), mail("not of the row")).String(), "Recipient address rejected: 192.0.2.71: your client certificate required by the recipient's policy")
		w.has(w.send(w.bank("192.0.2.71", plain()), mail("in clear")).String(), "Recipient address rejected: 192.0.2.71: TLS required by the recipient's policy; this session is not encrypted")
	})
}

// selfSigned is TLS 1.3 with a certificate that nobody trusts.
func (w world) selfSigned() *tls.Config {
	w.Helper()
	cert, err := posttest.SelfSigned("partner.example")
	if err != nil {
		w.Fatal(err)
	}
	config := w.tls13()
	config.Certificates = []tls.Certificate{cert}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil } // whatever CAs the server names
	return config
}

func fingerprint(c *tls.Config) string {
	return fmt.Sprintf("%x", sha256.Sum256(c.Certificates[0].Certificate[0]))
}
