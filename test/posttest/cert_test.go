package posttest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"testing"
)

func TestIssue(t *testing.T) {
	ca, err := NewCA("ours")
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewCA("theirs")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Issue("mx.test")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		for _, name := range []string{"mx.test", "127.0.0.1", "::1"} {
			opts := x509.VerifyOptions{Roots: ca.Pool(), DNSName: name, KeyUsages: []x509.ExtKeyUsage{use}}
			if _, err := leaf.Verify(opts); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			opts.Roots = other.Pool()
			if _, err := leaf.Verify(opts); err == nil {
				t.Errorf("%s: another authority's certificate passes", name)
			}
		}
	}
	if leaf.Subject.CommonName != "mx.test" {
		t.Error(leaf.Subject)
	}
}

func TestChainFile(t *testing.T) {
	ca, err := NewCA("ours")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Issue("mx.test")
	if err != nil {
		t.Fatal(err)
	}
	b, err := chainFile(c)
	if err != nil {
		t.Fatal(err)
	}
	if first, _ := pem.Decode(b); first == nil || first.Type != "PRIVATE KEY" {
		t.Errorf("the key must come first: %s", b)
	}
	if _, err := tls.X509KeyPair(b, b); err != nil {
		t.Error(err)
	}
	if block, rest := pem.Decode(ca.PEM()); block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		t.Errorf("%s", ca.PEM())
	}
	if _, err := chainFile(tls.Certificate{PrivateKey: "none"}); err == nil {
		t.Error("a key that is none")
	}
}
