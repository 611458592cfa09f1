package admin

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"tlsratchet/test/storetest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// lived is the history of a peer of a policy, by a letter for each day, today the last: 0 in
// clear, w, 2, 3, x both in clear and with TLS 1.3, - not seen.
func lived(days string, rule *tlsstate.Policy) (h tlsstate.History) {
	for i, letter := range days {
		day := storetest.Today - tlsstate.Day(len(days)-1-i)
		for l, at := range []string{"0x", "w", "2", "3x"} {
			if strings.ContainsRune(at, letter) {
				h = storetest.Sees(h, day, tlsstate.Level(l)).Form(rule)
			}
		}
	}
	return h
}

// TestBelow: a peer below a pin that holds is one since that was last met, or on that day.
func TestBelow(t *testing.T) {
	const pinned = "222222"
	for days, want := range map[string]bool{
		pinned: false, pinned + "0": true, pinned + "w": true, pinned + "02": false, pinned + "0x": true, pinned + "x": true,
		pinned + "0-2": false, pinned + "3": false, "www": false, "wwwww0": true, "222220": true, "22220": false,
		pinned + "000":                          false, // released
		pinned + strings.Repeat("-", 100) + "0": true, "3333332": false, "0" + strings.Repeat("-", 70) + pinned: false,
	} {
		rule := tlsstate.DefaultPolicy()
		h := lived(days, &rule)
		if got := below(&h, &rule, storetest.Today); got != want {
			t.Errorf("%s: %v", days, got)
		}
	}
	rule := tlsstate.DefaultPolicy()
	rule.PinUpTo = tlsstate.TLS13
	if h := lived("3333332", &rule); !below(&h, &rule, storetest.Today) {
		t.Error("TLS 1.2 is below a pin at TLS 1.3")
	}
}

// TestSimilar: names that a slip may have made of each other.
func TestSimilar(t *testing.T) {
	for names, want := range map[string]bool{
		"bank mybank": true, "mybank bank": true, "ban banana": false, "banana ban": false,
		"bonk bank": false, "bonks banks": true, "bamks.example banks.example": true, "bamkz.example banks.example": true,
		"bamkzz.example banks.example": false, "bankz banks": true, "banks bank": true, "abxde abcdx": true, "axxxe abcde": false,
	} {
		a, b, _ := strings.Cut(names, " ")
		if got := similar(a, b); got != want {
			t.Errorf("%s: %v", names, got)
		}
	}
}

// TestNear: three names are suggested at most, and those of other kinds and those that were
// forgotten are none.
func TestNear(t *testing.T) {
	m := store.NewMemory(100)
	for _, name := range []string{"bank0", "bank1", "bank2", "bank3", "bank4"} {
		for _, kind := range []tlsstate.Kind{tlsstate.Domain, tlsstate.MX} {
			if _, err := m.Update(tlsstate.Identity{Kind: kind, Name: name}, netip.Addr{}, storetest.Today, func(tlsstate.History) tlsstate.History {
				h := storetest.Sees(tlsstate.History{}, storetest.Today, tlsstate.TLS12)
				if name == "bank1" {
					h = h.Forget(storetest.Today)
				}
				return h
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	n := 0
	for range (&Local{Memory: m}).here(tlsstate.Domain) {
		n++
	}
	if n != 5 {
		t.Errorf("%d of a kind are listed, want 5", n)
	}
	near := (&Local{Memory: m}).near(tlsstate.Identity{Kind: tlsstate.Domain, Name: "bank9"})
	if want := []string{"domain:bank0", "domain:bank2", "domain:bank3"}; !slices.Equal(near, want) {
		t.Errorf("near are %q, want %q", near, want)
	}
}

// TestHostAndAddress: what an operator names a client by.
func TestHostAndAddress(t *testing.T) {
	for name, want := range map[string][2]string{
		"domain:bank.example": {"bank.example", ""}, "address:192.0.2.1": {"", "192.0.2.1"}, "192.0.2.1": {"", "192.0.2.1"},
		"mx1.bank.example[192.0.2.10]": {"mx1.bank.example", "192.0.2.10"}, "mx1.bank.example": {"mx1.bank.example", ""},
		"row:192.0.2.0/24": {"", "192.0.2.0"}, "row:bank.example": {"bank.example", ""}, "listener:25": {"listener:25", ""}, "192.0.2.0/24": {"192.0.2.0/24", ""},
	} {
		if host, address := hostAndAddress(name); host != want[0] || address != want[1] {
			t.Errorf("%s: %q, %q", name, host, address)
		}
	}
}

// TestLinesEnd: after a line that can't be read no other is.
func TestLinesEnd(t *testing.T) {
	const good = `{"identity":"domain:a.example","history":{}}` + "\n"
	n := 0
	for _, err := range Lines(strings.NewReader(good + "bad\n" + good)) {
		if n++; (err != nil) != (n == 2) || n > 2 {
			t.Errorf("line %d: %v", n, err)
		}
	}
}

// TestReasons: twenty lines that are refused are named, all are counted.
func TestReasons(t *testing.T) {
	var i Imported
	for n := range 25 {
		i.refuse(Line{Number: n + 1}, "it is none")
	}
	if i.Refused != 25 || len(i.Reasons) != 20 || i.Reasons[19] != "line 20: it is none" {
		t.Errorf("%+v", i)
	}
}
