package store

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"tlsratchet/tlsstate"
)

func TestKeysAreOrderedLikeIdentities(t *testing.T) {
	ids := []tlsstate.Identity{
		{Kind: tlsstate.Address, Name: "192.0.2.1"},
		{Kind: tlsstate.Address, Name: "192.0.2.10"},
		{Kind: tlsstate.Address, Name: "2001:db8::"},
		{Kind: tlsstate.Domain, Name: "a"},
		{Kind: tlsstate.Domain, Name: "a.example"},
		{Kind: tlsstate.Domain, Name: "a.example.org"},
		{Kind: tlsstate.Sender, Name: "a.example"},
		{Kind: tlsstate.Listener, Name: "192.0.2.1:25"},
		{Kind: tlsstate.Listener, Name: strings.Repeat("9", tlsstate.MaxName)},
	}
	for i, a := range ids {
		key := appendKey(nil, a)
		if !isKey(key) || parseKey(key) != a {
			t.Errorf("parseKey of %s = %s, %v", a, parseKey(key), isKey(key))
		}
		for j, b := range ids {
			want := bytes.Compare([]byte{byte(i)}, []byte{byte(j)})
			if got := bytes.Compare(key, appendKey(nil, b)); got != want || compare(a, b) != want {
				t.Errorf("%s to %s: keys %d, identities %d, want %d", a, b, got, compare(a, b), want)
			}
		}
	}
}

func TestNoKey(t *testing.T) {
	for _, key := range []string{"", "\x01", "\x00name", "\x01" + strings.Repeat("a", tlsstate.MaxName+1)} {
		if isKey([]byte(key)) {
			t.Errorf("%.20q is a key", key)
		}
	}
}

func TestAValueIsItsKeysOwn(t *testing.T) {
	key, other := appendKey(nil, peer(1)), appendKey(nil, peer(2))
	value := appendValue(nil, key, seen(9), 77)
	if h, from, err := parseValue(key, value); err != nil || h != seen(9) || from != 77 {
		t.Fatalf("parseValue = %+v, %d, %v", h, from, err)
	}
	if _, _, err := parseValue(other, value); !errors.Is(err, tlsstate.ErrDamaged) {
		t.Errorf("another's key: %v", err)
	}
	for bit := range len(value) * 8 {
		bad := bytes.Clone(value)
		bad[bit/8] ^= 1 << (bit % 8)
		if h, _, err := parseValue(key, bad); err == nil {
			t.Errorf("with bit %d flipped: %+v", bit, h)
		}
	}
	for n := range len(value) {
		if h, _, err := parseValue(key, value[:n]); err == nil {
			t.Errorf("cut to %d bytes: %+v", n, h)
		}
	}
}

func FuzzParseValue(f *testing.F) {
	key := appendKey(nil, peer(1))
	f.Add(key, appendValue(nil, key, seen(9), 77))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		h, from, err := parseValue(key, value)
		if err == nil && !bytes.Equal(appendValue(nil, key, h, from), value) {
			t.Errorf("%x is read as %+v, which is written otherwise", value, h)
		}
		if isKey(key) && !bytes.Equal(appendKey(nil, parseKey(key)), key) {
			t.Errorf("key %x is read as %s", key, parseKey(key))
		}
	})
}
