package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tlsratchet/test/posttest"
)

// hostile is what a peer may write into its names.
var hostile = map[string]string{
	"CR":              "a\rX-Forged: yes\r",
	"NUL":             "a\x00b",
	"escape":          "\x1b[31m\x1b]0;owned\x07",
	"UTF-8":           "b\u00fccher\u202e",
	"2000 characters": strings.Repeat("x", 1990),
	"words of ours":   ";kind=none;action=accept",
}

// names are those that a peer chooses. (That of its address must be a host's:
// Postfix sees to it.)
type names struct{ helo, cert, from string }

var harmless = names{"mx1.bank.example", "mx1.bank.example", "alice@bank.example"}

// TestHostileNames has each name that a peer may choose hold what could end a
// line, colour a terminal or add a header. Its message goes into the hold queue,
// where it must look as that of a harmless peer does, and leaves one clean line
// in the log.
func TestHostileNames(t *testing.T) {
	ca := newAuthority(t)
	in := newPostfix(t, posttest.Options{
		Parts: []string{"main.cf.tls", "main.cf.tlsratchet", "main.cf.client-certs"},
		Main:  []string{"smtpd_tls_CAfile = " + ca.file},
	})
	w := world{T: t, Instance: in}
	d := serve(t, w.MilterSocket(), "", all+"[policy]\npin_up_to = \"TLSv1.3\"\npin_after_days = 1\nweakened = \"quarantine\"\n")
	w.delivered(w.bank("192.0.2.28", w.tls13()), mail("pinned"))
	want := w.held(d, ca, harmless)
	if len(want.fields) < 5 || !strings.HasPrefix(want.fields[0], "X-TLS-Ratchet: downgrade; kind=weakened;") || len(want.logged) != 1 {
		t.Fatalf("harmless: %q", want)
	}
	for kind, text := range hostile {
		for place, n := range map[string]names{
			"HELO":        {text, harmless.cert, harmless.from},
			"certificate": {harmless.helo, text, harmless.from},
			"MAIL":        {harmless.helo, harmless.cert, `"` + text + `"@bank.example`},
		} {
			t.Run(place+", "+kind, func(t *testing.T) {
				switch got := (world{T: t, Instance: in}).held(d, ca, n); {
				case got.refused == "":
					got.like(t, want)
				case kind != "NUL": // which ends a sender in Postfix's eyes
					t.Error(got.refused)
				}
			})
		}
	}
	for i, b := range []byte(d.text()) {
		if (b < ' ' || b > '~') && b != '\n' {
			t.Fatalf("byte %#02x in the log: %q", b, d.text()[max(0, i-100):i+1])
		}
	}
}

// queued is a message in the queue, and what was logged of it.
type queued struct {
	refused string   // Postfix itself didn't take it
	fields  []string // of the header, each with the lines that continue it
	logged  []string // the lines in the daemon's log
}

// held sends a weakened peer's message and looks at it in the hold queue.
func (w world) held(d *daemon, ca *authority, n names) (q queued) {
	w.Helper()
	before := len(d.downgrades())
	p := w.bank("192.0.2.28", w.tls12())
	p.TLS.Certificates = []tls.Certificate{ca.issue(w.T, n.cert)}
	p.HELO = n.helo
	c := w.connect(p)
	m := mail("held")
	m.From = n.from
	exchanges := w.say(c, m)
	last := exchanges[len(exchanges)-1].Reply
	_, id, queued := strings.Cut(last.Text, "queued as ")
	if !queued {
		q.refused = last.String()
		return q
	}
	text, err := w.Cat(limit(w.T), id)
	if err != nil {
		w.Fatal(err)
	}
	header, _, _ := strings.Cut(text, "\n\n")
	q.fields = strings.Split(regexp.MustCompile(`\n([^ \t])`).ReplaceAllString(header, "\x00$1"), "\x00")
	q.logged = d.downgrades()[before:]
	return q
}

// like compares it with another, in all but its own values.
func (q queued) like(t *testing.T, want queued) {
	t.Helper()
	name := func(field string) string { name, _, _ := strings.Cut(field, ":"); return name }
	if !slices.EqualFunc(q.fields, want.fields, func(a, b string) bool { return name(a) == name(b) }) {
		t.Errorf("the header is %q, want the fields of %q", q.fields, want.fields)
	}
	if q.fields[0] != want.fields[0] {
		t.Errorf("our field is %q, want %q", q.fields[0], want.fields[0])
	}
	own := regexp.MustCompile(`^time=\S+|queue_id=\S+|from=("([^"\\]|\\.)*"|\S+)`)
	if len(q.logged) != 1 || own.ReplaceAllString(q.logged[0], "") != own.ReplaceAllString(want.logged[0], "") {
		t.Errorf("logged %q, want one line like %q", q.logged, want.logged)
	}
}

// authority is a certification authority that issues what it is asked for.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "partners"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	own := a.issue(t, "")
	a.key = own.PrivateKey.(*ecdsa.PrivateKey)
	var err error
	if a.cert, err = x509.ParseCertificate(own.Certificate[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue makes a client certificate for any common name; for none, the
// authority's own.
func (a *authority) issue(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf, signer := a.cert, key
	if name != "" {
		leaf = &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
			NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		signer = a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
