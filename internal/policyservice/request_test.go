package policyservice

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
)

func parse(text string) (*request, error) {
	var r request
	return &r, r.read(bufio.NewReaderSize(strings.NewReader(text), maxLine))
}

// TestRead: what a Postfix 3.7 sends becomes the facts that a milter gets.
func TestRead(t *testing.T) {
	r, err := parse("request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address=2001:db8::1\n" +
		"client_name=mx1.bank.example\nclient_port=4711\nhelo_name=mx1\nsender=alice@bank.example\nrecipient=bob@ours.example\n" +
		"recipient_count=0\nqueue_id=4Q1\ninstance=3f8.65a1.1\nsize=12\nsasl_method=\nsasl_username=\nsasl_sender=\n" +
		"ccert_subject=mx1.bank+20example\nccert_issuer=Bank+2BCA\nccert_fingerprint=AA:BB\nccert_pubkey_fingerprint=CC:DD\nencryption_protocol=TLSv1.3\n" +
		"encryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\nserver_address=198.51.100.1\nserver_port=25\n\n")
	if err != nil {
		t.Fatal(err)
	}
	want := ratchet.Facts{
		Client:  peer.Client{Addr: "2001:db8::1", Name: "mx1.bank.example", Resolve: "OK", DaemonAddr: "198.51.100.1", DaemonPort: "25"},
		Version: "TLSv1.3", Cipher: "TLS_AES_256_GCM_SHA384", Bits: "256", Subject: "mx1.bank example", Issuer: "Bank+CA",
		Fingerprints: ratchet.Fingerprints{Known: true, Certificate: "AA:BB", Key: "CC:DD"},
	}
	if got := r.facts(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for a, want := range map[int]string{
		kind: "smtpd_access_policy", state: "RCPT", instance: "3f8.65a1.1", clientPort: "4711",
		sender: "alice@bank.example", recipient: "bob@ours.example", queueID: "4Q1",
	} {
		if r.text[a] != want {
			t.Errorf("%d: %q, want %q", a, r.text[a], want)
		}
	}
	for _, name := range []string{"", "unknown"} { // not confirmed
		r, _ = parse("client_address=192.0.2.10\nclient_name=" + name + "\nsasl_method=PLAIN\nsasl_username=bob\n\n")
		if who, err := peer.Identify(r.facts().Client); err != nil || who.Host != "" || r.facts().AuthType+r.facts().AuthUser != "PLAINbob" {
			t.Errorf("%+v: %+v, %v", r.facts(), who, err)
		}
	}
	for name, known := range map[string]bool{"ccert_fingerprint": true, "ccert_pubkey_fingerprint": true, "ccert_subject": false} {
		if r, err = parse(name + "=\n\n"); err != nil || r.facts().Fingerprints.Known != known {
			t.Error(name, err)
		}
	}
}

// TestReadAgain: whatever stood in the request before it, a request is what it is by
// itself; and the session is another where its attributes are.
func TestReadAgain(t *testing.T) {
	names := []string{"request", "client_name", "client_port", "size", "sender", "ccert_fingerprint", "ccert_pubkey_fingerprint", "helo_name"}
	random := rand.New(rand.NewPCG(1, 2))
	var texts []string
	twice := make(map[string]bool)
	for range 5000 {
		lines := make([]string, 0, len(names))
		for i, name := range names {
			if random.IntN(8) > 0 {
				lines = append(lines, name+"="+strings.Repeat("x", random.IntN(3)*(i%3+1))+"\n")
			}
		}
		if i, j := random.IntN(20), random.IntN(20); i < len(lines) && j < len(lines) {
			lines[i], lines[j] = lines[j], lines[i]
		}
		again := ""
		if n := len(lines); n > 0 && random.IntN(8) == 0 {
			again = lines[random.IntN(n)]
			lines = append(lines, again)
		} else if random.IntN(4) == 0 {
			lines = lines[:random.IntN(n+1)]
		}
		if len(lines) == 0 || random.IntN(50) == 0 {
			lines = append(lines, "helo_name="+strings.Repeat("y", maxKept)+"\n")
		}
		texts = append(texts, strings.Join(lines, "")+"\n")
		name, _, _ := strings.Cut(again, "=")
		if _, known := byName[name]; known {
			twice[texts[len(texts)-1]] = true
		}
	}
	in := bufio.NewReaderSize(strings.NewReader(strings.Join(texts, "")), maxLine)
	var r, before request
	for i, text := range texts {
		r.moved = false
		if err := r.read(in); err != nil {
			t.Fatal(err)
		}
		want, err := parse(text)
		if err != nil || r.text != want.text || r.stated != want.stated {
			t.Fatalf("request %d, after %q: %q, %v\ngot  %q\nwant %q", i, texts[max(i-1, 0)], text, err, r.text, want.text)
		}
		if !r.moved && r.facts() != before.facts() {
			t.Fatalf("request %d, after %q: %q: not moved", i, texts[max(i-1, 0)], text)
		}
		isLong := len(text) > maxKept
		if r.apart != (isLong || twice[text]) || !isLong && string(r.lines)+"\n" != text {
			t.Fatalf("request %d: apart %t, %q is kept of %q", i, r.apart, r.lines, text)
		}
		if cap(r.lines) > 4*maxKept {
			t.Fatalf("%d bytes are kept", cap(r.lines))
		}
		before = r
	}
}

// TestSameSession: what differs from message to message makes the session no other.
func TestSameSession(t *testing.T) {
	const first, last = "size=1\nsender=alice@bank.example\nclient_name=mx1\n\n", "size=22\nsender=al@bank.example\nclient_name=mx1\n\n"
	var r request
	in := bufio.NewReaderSize(strings.NewReader(first+last), maxLine)
	for range 2 {
		r.moved = false
		if err := r.read(in); err != nil {
			t.Fatal(err)
		}
	}
	if r.moved || r.text[sender] != "al@bank.example" {
		t.Errorf("%+v", r)
	}
}

// TestRefused: garbage, giants and half a request end the connection.
func TestRefused(t *testing.T) {
	for _, text := range []string{
		"\n", "GET / HTTP/1.1\r\n\r\n", "=value\n\n", "a=" + strings.Repeat("x", maxLine) + "\n\n",
		strings.Repeat("a="+strings.Repeat("x", 3000)+"\n", 12) + "\n", strings.Repeat("a=b\n", maxAttributes+1) + "\n",
		"\x16\x03\x01\x02\x00\x01\x00\n",
	} {
		if _, err := parse(text); !errors.Is(err, errRefused) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := parse("sender=a\nGET\n"); !strings.HasSuffix(err.Error(), ": line 2, 11 bytes so far") {
		t.Error(err)
	}
	for _, text := range []string{"", "request=smtpd_access_policy\n", "request=smt"} {
		if _, err := parse(text); !errors.Is(err, io.EOF) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// TestLargest: what is just within the limits is read, and no more, whatever of it was in
// the request before.
func TestLargest(t *testing.T) {
	longest, before := "", ""
	for name := range strings.SplitSeq("abcdefgh", "") {
		longest += name + "=" + strings.Repeat("x", maxLine-3) + "\n"
		before += name + "=\n"
	}
	for end, fits := range map[string]bool{"j=345\n\n": true, "j=3456\n\n": false} {
		var r request
		in := bufio.NewReaderSize(strings.NewReader(before+"i=\n"+end+longest+"i=1\n"+end), maxLine)
		if err := r.read(in); err != nil {
			t.Fatal(err)
		}
		_, want := parse(longest + "i=1\n" + end)
		if err := r.read(in); (want == nil) != fits || fmt.Sprint(err) != fmt.Sprint(want) {
			t.Errorf("%q: %v; alone %v", end, err, want)
		}
	}
	for in, want := range map[string]string{"a+41": "aA", "Caf+E9": "Caf\xe9", "+4": "+4", "+4g+": "+4g+"} {
		if got := unxtext(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// TestGiantIsNotKept: a request's lines are not kept where they are many.
func TestGiantIsNotKept(t *testing.T) {
	r, err := parse(strings.Repeat("a="+strings.Repeat("x", 3000)+"\n", 10) + "\n")
	if err != nil || cap(r.lines) > maxKept {
		t.Errorf("%d bytes are kept, %v", cap(r.lines), err)
	}
}

// FuzzRead: whatever comes is a request or an error, of bounded size, and what it would
// be on a connection of its own; the session is another where its attributes are.
func FuzzRead(f *testing.F) {
	f.Add([]byte("request=smtpd_access_policy\nprotocol_state=RCPT\nccert_subject=a+2\n\n"))
	f.Add([]byte("a\n\n"))
	f.Add([]byte("client_address=1\nsender=a\n\nclient_address=2\nsender=a\n\nsender=a\nclient_address=2\n\n\n"))
	f.Add([]byte("client_name=1\nclient_name=2\nx=\n\nclient_name=1\nx=\n\nccert_fingerprint=\nx=y\n\nx=y\n\nx=y\nx\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rest := strings.NewReader(string(b))
		in := bufio.NewReaderSize(rest, maxLine)
		for r, before, at := (request{}), (request{}), 0; ; before = r {
			r.moved = false
			err := r.read(in)
			alone, want := parse(string(b[at:]))
			if at = len(b) - rest.Len() - in.Buffered(); fmt.Sprint(err) != fmt.Sprint(want) {
				t.Fatalf("%v, want %v", err, want)
			}
			if err != nil {
				return
			}
			if r.text != alone.text || r.stated != alone.stated || !r.moved && r.facts() != before.facts() {
				t.Fatalf("%q %b %t, want %q %b", r.text, r.stated, r.moved, alone.text, alone.stated)
			}
			if text := strings.Join(r.text[:], ""); len(text) > maxRequest || len(r.lines) > maxKept || strings.Contains(text, "\n") {
				t.Fatalf("%d bytes, of lines %d: %.200q", len(text), len(r.lines), text)
			}
		}
	})
}
