package config

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzLoad: no file panics, every error says where, and what loads is written
// back as something that loads to the same.
func FuzzLoad(f *testing.F) {
	data, err := os.ReadFile("testdata/effective.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("[[peer]]\nnetwork = '192.0.2.0/24'\nleast = 'weak'\n[[peer]]\n[peer.x]\n"))
	f.Add([]byte("peer = [{domain = 'a.example', exempt = true}, {}]\npolicy.stripped = ''\n[a.b]\n[[a.c]]\n[[a.c.d]]\n"))
	f.Add([]byte("listen = ['inet:[fe80::1%a\"b]:25', 'unix:/\\\"']\nexempt_recipients = ['İ@a', 'a@b@c.d']"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := load("file", data, nil, Flags{})
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "file:") {
					t.Errorf("the error doesn't say where: %q", line)
				}
			}
			return
		}
		roundTrip(t, c)
	})
}

// FuzzVariables does the same with the texts of variables and flags.
func FuzzVariables(f *testing.F) {
	f.Add("unix:/a,inet:a:1", "/x\"y\\z.db", "a b", "%")
	f.Add("inet:[::1%\\\\]:1", "memory", "reject", "\x80")
	f.Fuzz(func(t *testing.T, listen, history, action, contact string) {
		env := func(name string) (string, bool) {
			switch name {
			case "TLSRATCHET_LISTEN":
				return listen, true
			case "TLSRATCHET_REPLY_CONTACT", "TLSRATCHET_SOCKET_GROUP":
				return contact, true
			}
			return "", false
		}
		if c, err := load("", nil, env, Flags{"history": history, "action": action}); err == nil {
			roundTrip(t, c)
		}
	})
}

func roundTrip(t interface {
	Helper()
	Fatalf(string, ...any)
}, c *Config) {
	t.Helper()
	var first, second bytes.Buffer
	if err := c.Write(&first); err != nil {
		t.Fatalf("%v", err)
	}
	again, err := load("written", first.Bytes(), nil, Flags{})
	if err != nil {
		t.Fatalf("what was written doesn't load: %v\n%s", err, first.Bytes())
	}
	opts := cmp.Options{cmpopts.IgnoreUnexported(Config{}), cmpopts.EquateComparable(netip.Prefix{}, netip.AddrPort{}), cmpopts.EquateEmpty()}
	if diff := cmp.Diff(c, again, opts); diff != "" {
		t.Fatalf("loaded back:\n%s", diff)
	}
	if err := again.Write(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Fatalf("written twice (%v):\n%s", err, cmp.Diff(first.String(), second.String()))
	}
}
