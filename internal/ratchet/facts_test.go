package ratchet_test

import (
	"errors"
	"testing"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

func TestFacts(t *testing.T) {
	full := ratchet.Facts{
		Client: bank, Version: "TLSv1.3", Cipher: "TLS_AES_256_GCM_SHA384", Bits: "256",
		Subject: "mx1.bank.example", Issuer: "Bank CA",
		Fingerprints: ratchet.Fingerprints{Known: true, Certificate: "AA", Key: "BB"},
	}
	s, err := full.Session()
	if err != nil {
		t.Fatal(err)
	}
	want := tlsstate.Security{
		Level: tlsstate.TLS13, Protocol: "TLSv1.3", Cipher: "TLS_AES_256_GCM_SHA384", Bits: 256,
		Certificate: true, CertMark: tlsstate.CertificateMark("Bank CA", "mx1.bank.example"),
	}
	if s.Security != want || s.Fingerprints != full.Fingerprints || s.Peer.Address.Name != "192.0.2.10" {
		t.Errorf("got %+v", s)
	}
	inClear := ratchet.Facts{Client: bank}
	if s, err := inClear.Session(); err != nil || s.Security != (tlsstate.Security{}) || s.Authenticated {
		t.Errorf("in clear: %+v, %v", s, err)
	}
	if s, err := (&ratchet.Facts{}).Session(); !errors.Is(err, peer.ErrNoAddress) || s.Peer.IP.IsValid() {
		t.Errorf("no address: %+v, %v", s, err)
	}
}

// TestLoggedIn: the mechanism or the user alone is a login.
func TestLoggedIn(t *testing.T) {
	for _, f := range []ratchet.Facts{{AuthType: "PLAIN"}, {AuthUser: "alice"}, {AuthType: "PLAIN", AuthUser: "alice"}} {
		f.Client = bank
		if s, err := f.Session(); err != nil || !s.Authenticated {
			t.Errorf("%+v: %v, %v", f, s.Authenticated, err)
		}
	}
}
