package selfcheck_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tlsratchet/internal/selfcheck"
	"tlsratchet/test/posttest"
)

// TestPostfix tries a real one in each of the states that it can be in.
func TestPostfix(t *testing.T) {
	expired := certificate(t, -80, -1, "mx.test")
	key, err := x509.MarshalPKCS8PrivateKey(expired.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: expired.Certificate[0]})
	for _, tc := range []struct {
		name  string
		opts  posttest.Options
		chain []byte // in place of the instance's own
		want  selfcheck.Problem
	}{
		{"its certificate ends tomorrow", posttest.Options{}, nil, selfcheck.CertificateExpires},
		{"without STARTTLS", posttest.Options{Main: []string{"smtpd_tls_security_level = none"}}, nil, selfcheck.NotOffered},
		{"expired", posttest.Options{}, append(keyPEM, certPEM...), selfcheck.CertificateInvalid},
		// Postfix then offers it and refuses it, or doesn't offer it.
		{"a key that is none", posttest.Options{}, append([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), certPEM...), selfcheck.HandshakeFails},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := postfix(t, tc.opts, tc.chain)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			r := selfcheck.Probe(ctx, new(net.Dialer).DialContext, in.Addr(0))
			if got := r.Problem(r.At); got != tc.want {
				t.Errorf("%v, want %v: %+v", got, tc.want, r)
			}
		})
	}
}

// postfix starts an instance that ends with the test.
func postfix(t *testing.T, opts posttest.Options, chain []byte) *posttest.Instance {
	t.Helper()
	if err := posttest.Install(os.Stderr); err != nil {
		t.Fatal(err)
	}
	in, err := posttest.New("", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	if chain != nil {
		if err := os.WriteFile(filepath.Join(in.Dir(), "etc/tls/server.pem"), chain, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := in.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return in
}
