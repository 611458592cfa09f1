package tlsstate_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"pgregory.net/rapid"

	. "tlsratchet/tlsstate"
)

// An act is what can happen to a history: a session, an unpin or a forget.
type act struct {
	what byte // o, u or f
	o    Observation
}

func (a act) on(h History, rule *Policy) History {
	switch a.what {
	case 'u':
		return h.Unpin(a.o.Day)
	case 'f':
		return h.Forget(a.o.Day)
	}
	_, after := Judge(h, a.o, rule)
	return after
}

// acts draws what happens up to day dayZero+300. Days crowd, so that pins form.
var acts = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) act {
	span := rapid.SampledFrom([]int{8, 70, 300}).Draw(t, "span")
	level := rapid.SampledFrom([]Level{TLS12, TLS12, TLS13, TLS13, Weak, Plaintext}).Draw(t, "level")
	return act{
		what: rapid.SampledFrom([]byte("ooooooooooooooooouf")).Draw(t, "what"),
		o: Observation{
			Day:      dayZero + Day(rapid.IntRange(0, span).Draw(t, "day")),
			Security: Security{Level: level, Certificate: rapid.Bool().Draw(t, "certificate"), CertMark: rapid.Uint64Range(0, 4).Draw(t, "mark"), CertUnknown: rapid.Bool().Draw(t, "unknown")},
			Marks:    drawMarks(t),
			Name:     drawName(t),
		},
	}
}), 0, 60)

func drawMarks(t *rapid.T) Marks {
	draw := func(name string) Sketch { return Sketch(rapid.Uint64Range(0, 3).Draw(t, name)) }
	return Marks{Networks: draw("networks"), Addresses: draw("addresses"), Bare: draw("bare"), Named: draw("named"), HostNames: draw("host names"), Senders: Senders(draw("senders"))}
}

func drawName(t *rapid.T) Name {
	return rapid.SampledFrom([]Name{
		{}, {}, OnlyName("bank.example"), OnlyName("shop.example"), OnlyName(strings.Repeat("x", 40)),
		LastName(dayZero, "mx1.bank.example", "bank.example"), LastName(dayZero, "mx2.bank.example", "bank.example"),
	}).Draw(t, "name")
}

var policies = rapid.Custom(func(t *rapid.T) Policy {
	p := DefaultPolicy()
	p.PinAfterDays = rapid.IntRange(1, 6).Draw(t, "pin after")
	p.PinCertificates = rapid.SampledFrom([]CertPins{CertByIssuer, CertByKey, CertOff}).Draw(t, "certificates")
	p.PinUpTo = rapid.SampledFrom([]Level{Weak, TLS12, TLS13}).Draw(t, "up to")
	return p
})

func fold(h History, as []act, rule *Policy) History {
	for _, a := range as {
		h = a.on(h, rule)
	}
	return h
}

var histories = rapid.Custom(func(t *rapid.T) History {
	rule := policies.Draw(t, "policy")
	return fold(History{}, acts.Draw(t, "acts"), &rule)
})

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mergeLaws(t, histories.Draw(t, "a"), histories.Draw(t, "b"), histories.Draw(t, "c"))
	})
}

func mergeLaws(t interface{ Fatalf(string, ...any) }, a, b, c History) {
	if Merge(a, b) != Merge(b, a) {
		t.Fatalf("not commutative:\n%+v\n%+v", a, b)
	}
	if Merge(Merge(a, b), c) != Merge(a, Merge(b, c)) {
		t.Fatalf("not associative:\n%+v\n%+v\n%+v", a, b, c)
	}
	if Merge(a, a) != a || Merge(a, Merge(a, b)) != Merge(a, b) {
		t.Fatalf("not idempotent:\n%+v\n%+v", a, b)
	}
	if Merge(a, History{}) != a {
		t.Fatalf("the zero history is no unit:\n%+v", a)
	}
	if err := Merge(a, b).Valid(); err != nil {
		t.Fatalf("merged: %v", err)
	}
}

// What grows a history can be met by any older copy of it without harm.
func TestJudgeAndOperatorsOnlyGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := policies.Draw(t, "policy")
		h := histories.Draw(t, "history")
		for _, a := range acts.Draw(t, "acts") {
			after := a.on(h, &rule)
			if Merge(h, after) != after {
				t.Fatalf("%c shrank it:\n%+v\n%+v", a.what, h, after)
			}
			if err := after.Valid(); err != nil {
				t.Fatalf("%c: %v", a.what, err)
			}
			h = after
		}
	})
}

// Whatever another host made of an older copy, or of acts of its own up to
// today, an unpin or forget of today stands.
func TestNoStaleReplicaRepins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := policies.Draw(t, "policy")
		common := histories.Draw(t, "common")
		stale := fold(common, acts.Draw(t, "there"), &rule)
		here := fold(common, acts.Draw(t, "here"), &rule)
		today := max(here.Newest(), stale.Newest())
		here = Merge(here, History{Epoch: max(here.Epoch, stale.Epoch)}) // the operator saw what is there
		if rapid.Bool().Draw(t, "forget") {
			here = here.Forget(today)
		} else {
			here = here.Unpin(today)
		}
		met := Merge(here, stale).Form(&rule)
		for l := Weak; l <= TLS13; l++ {
			if s := met.PinState(l, &rule, today, false); s != PinNone {
				t.Fatalf("the pin at %s is back, and %s", l, s)
			}
		}
		if s := met.CertPinState(&rule, today, false); s != PinNone {
			t.Fatalf("the pin on the certificate is back, and %s", s)
		}
	})
}

// Two operators at once, who don't know of each other: neither act is lost.
func TestOperatorsAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := policies.Draw(t, "policy")
		h := histories.Draw(t, "history")
		today := h.Newest() + 1
		met := Merge(h.Unpin(today), h.Forget(today)).Form(&rule)
		for l := Weak; l <= TLS13; l++ {
			if s := met.PinState(l, &rule, today, false); s != PinNone {
				t.Fatalf("the pin at %s is %s", l, s)
			}
		}
	})
}

// However the sessions of a peer are spread over hosts that exchange all they
// know, in whatever order, the hosts end with one memory and one verdict; and
// what they saw is what a single host would have seen.
func TestReplicasAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := policies.Draw(t, "policy")
		all := acts.Draw(t, "acts")
		hosts := make([]History, 3)
		for _, a := range all {
			i := rapid.IntRange(0, 2).Draw(t, "host")
			hosts[i] = a.on(hosts[i], &rule)
			if rapid.IntRange(0, 9).Draw(t, "meet") == 0 {
				j := rapid.IntRange(0, 2).Draw(t, "other")
				hosts[i] = Merge(hosts[i], hosts[j]).Form(&rule)
				hosts[j] = hosts[i]
			}
		}
		one := Merge(Merge(hosts[0], hosts[1]), hosts[2]).Form(&rule)
		other := Merge(hosts[2], Merge(hosts[1], hosts[0])).Form(&rule)
		if one != other {
			t.Fatalf("hosts differ:\n%+v\n%+v", one, other)
		}
		if again := Merge(one, hosts[1]).Form(&rule); again != one {
			t.Fatalf("not settled:\n%+v\n%+v", one, again)
		}
		for _, a := range all {
			if a.what != 'o' {
				return // an epoch wins whole: what the others saw meanwhile goes with theirs
			}
		}
		single := fold(History{}, all, &rule)
		if unpinned(single) != unpinned(one) {
			t.Fatalf("a single host saw\n%+v, together they saw\n%+v", single, one)
		}
	})
}

// The order of sessions doesn't matter to what was seen, nor does doubling.
func TestOrderAndDoublingDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := policies.Draw(t, "policy")
		var seen []act
		for _, a := range acts.Draw(t, "acts") {
			if a.what == 'o' {
				seen = append(seen, a)
			}
		}
		shuffled := append(append([]act(nil), seen...), seen...)
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))).Shuffle(len(shuffled), func(i, j int) {
			shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
		})
		a, b := fold(History{}, seen, &rule), fold(History{}, shuffled, &rule)
		if unpinned(a) != unpinned(b) {
			t.Fatalf("in order\n%+v\nshuffled\n%+v", a, b)
		}
	})
}

// unpinned leaves the days of formation out: they depend on who knew what when.
func unpinned(h History) History {
	for i := range h.Pins {
		h.Pins[i].Formed = 0
	}
	h.CertPin, h.Cert, h.CertDays, h.NoCertDays = Pin{}, Certificate{}, 0, 0 // which certificate came first, too
	return h
}

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := histories.Draw(t, "history")
		b, err := h.AppendBinary([]byte("before"))
		if err != nil || len(b) > len("before")+MaxRecord {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		back, err := Decode(b[len("before"):])
		if err != nil || back != h {
			t.Fatalf("got %+v, %v\nwant %+v", back, err, h)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	good, _ := fold(History{}, []act{{'o', Observation{Day: 9, Security: Security{Level: TLS12}}}}, &Policy{PinAfterDays: 1, PinUpTo: TLS12}).AppendBinary(nil)
	newer := seal(append([]byte{RecordVersion + 1}, good[1:len(good)-4]...))
	named, _ := fold(History{}, []act{{'o', Observation{Day: 9, Name: LastName(9, "mx1.bank.example", "bank.example")}}}, &Policy{}).AppendBinary(nil)
	for _, tt := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrDamaged},
		{"cut", good[:len(good)-1], ErrDamaged},
		{"a byte more", append(append([]byte(nil), good...), 0), ErrDamaged},
		{"newer", newer, ErrNewerVersion},
		{"version 0", seal(append([]byte{0}, good[1:len(good)-4]...)), ErrDamaged},
		{"field missing", seal(good[:len(good)-6]), ErrDamaged},
		{"field too many", seal(append(append([]byte(nil), good[:len(good)-4]...), 1)), ErrDamaged},
		{"last before first", seal([]byte{RecordVersion, 0, 0, 0, 0, 9, 0, 8, 0}), ErrDamaged},
		{"name cut", seal(named[:len(named)-5]), ErrDamaged},
		{"name's head cut", seal(named[:len(named)-4-len("mx1.bank.example")-1]), ErrDamaged},
		{"nothing seen", seal([]byte{RecordVersion, 0, 0, 0, 0, 9, 0, 9, 0}), ErrDamaged},
		{"a field that is not known", seal([]byte{RecordVersion, 0, 0, 0x10, 0, 0, 0, 0, 0, 0}), ErrDamaged},
		{"too short for a head", seal([]byte{RecordVersion, 0}), ErrDamaged},
	} {
		if _, err := Decode(tt.b); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := Decode(newer); !strings.HasSuffix(fmt.Sprint(err), ": 2, this is 1") {
		t.Errorf("newer: %v", err)
	}
	for i := range good {
		for bit := range 8 {
			bad := append([]byte(nil), good...)
			bad[i] ^= 1 << bit
			if _, err := Decode(bad); err == nil {
				t.Fatalf("byte %d, bit %d: a flipped bit is read", i, bit)
			}
		}
	}
}

func TestRecordSize(t *testing.T) {
	rule := DefaultPolicy()
	var h History
	for d := range Day(40) {
		_, h = Judge(h, Observation{Day: dayZero + d, Security: Security{Level: TLS13}}, &rule)
	}
	b, _ := h.AppendBinary(nil)
	if len(b) > 64 {
		t.Errorf("an ordinary peer takes %d bytes, want at most 64", len(b))
	}
	if MaxRecord > 160 {
		t.Errorf("MaxRecord is %d", MaxRecord)
	}
}

func FuzzDecode(f *testing.F) {
	good, _ := History{Epoch: 1, First: 5, Last: 9, Seen: [4]uint64{2: 17}, WeekTLS: 3}.AppendBinary(nil)
	f.Add(good)
	f.Add(good[:12])
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, seal(b)} { // sealed, so that the fuzzer gets past the sum
			h, err := Decode(b)
			if err != nil {
				continue
			}
			if err := h.Valid(); err != nil {
				t.Fatalf("decoded: %v", err)
			}
			again, _ := h.AppendBinary(nil)
			if back, err := Decode(again); err != nil || back != h {
				t.Fatalf("got %+v, %v\nwant %+v", back, err, h)
			}
		}
	})
}

// FuzzLaws folds bytes into three histories, two bytes an act.
func FuzzLaws(f *testing.F) {
	f.Add([]byte("\x01\x02\x01\x03\x01\x04"), []byte("\x01\x02"), []byte("\xf0\x01"))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		rule := DefaultPolicy()
		rule.PinAfterDays = 2
		var hs [3]History
		for i, raw := range [][]byte{a, b, c} {
			for ; len(raw) >= 2; raw = raw[2:] {
				h := byteAct(raw).on(hs[i], &rule)
				if Merge(hs[i], h) != h {
					t.Fatalf("shrank:\n%+v\n%+v", hs[i], h)
				}
				hs[i] = h
			}
		}
		mergeLaws(t, hs[0], hs[1], hs[2])
	})
}

func byteAct(b []byte) act {
	what := byte('o')
	switch b[0] >> 4 {
	case 15:
		what = 'u'
	case 14:
		what = 'f'
	}
	return act{what, Observation{Day: dayZero + Day(b[1]), Security: Security{Level: Level(b[0] & 3), Certificate: b[0]&4 != 0}}}
}

// seal appends the CRC-32C of b.
func seal(b []byte) []byte {
	b = append([]byte(nil), b...)
	return binary.LittleEndian.AppendUint32(b, sum(b))
}
