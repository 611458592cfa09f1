package tlsstate_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	. "tlsratchet/tlsstate"
)

func TestJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := histories.Draw(t, "history")
		b, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var back History
		if err := json.Unmarshal(b, &back); err != nil || back != h {
			t.Fatalf("%s: got %+v, %v\nwant %+v", b, back, err, h)
		}
	})
}

func TestJSONForm(t *testing.T) {
	rule := DefaultPolicy()
	b, err := json.Marshal(pinned(&rule))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"first":"2024-10-05","last":"2024-10-09","seen":{"TLSv1.2":"1f"},"weeks_tls":"1","no_certificate":"1f",` +
		`"pins":{"TLSv1.2":{"formed":"2024-10-09","met":"2024-10-09"},"weak":{"formed":"2024-10-09","met":"2024-10-09"}}}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	if b, _ := json.Marshal(History{}); string(b) != "{}" {
		t.Errorf("nothing is %s", b)
	}
}

func TestJSONRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                          "cannot unmarshal",
		`{"first":"yesterday"}`:       `day "yesterday": want the form 2026-09-21`,
		`{"first":"1969-01-01"}`:      `day "1969-01-01": want 1970-01-02 to 2149-06-06`,
		`{"seen":{"TLSv9":"1"}}`:      `unknown level "TLSv9"`,
		`{"seen":{"none":"x"}}`:       `set "x": want up to 16 hexadecimal digits`,
		`{"pins":{"none":{}}}`:        `unknown pin "none"`,
		`{"first":"2026-09-21"}`:      "first day 2026-09-21, last day never",
		`{"weeks_tls":"1"}`:           "nothing was seen",
		`{"pins":{"weak":{"met":1}}}`: "cannot unmarshal",
		`{"colour":"red"}`:            `unknown field "colour"`,
	} {
		h := History{Epoch: 9}
		err := json.Unmarshal([]byte(text), &h)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
		if h != (History{Epoch: 9}) {
			t.Errorf("%s: the history was changed", text)
		}
	}
}

// TestWordsInJSON: each word is itself, as a value and as a key, and a word that
// nobody knows is an error.
func TestWordsInJSON(t *testing.T) {
	type words struct {
		Action   Action
		Identity Identity
		Kind     Downgrade
		Outcome  Outcome
		Level    Level
		Days     map[Level]Day
	}
	want := words{Reject, Identity{Domain, "bank.example"}, Weakened, Raised, TLS12, map[Level]Day{TLS13: dayZero}}
	b, err := json.Marshal(want)
	if text := `{"Action":"reject","Identity":"domain:bank.example","Kind":"weakened","Outcome":"raised","Level":"TLSv1.2","Days":{"TLSv1.3":"2024-10-04"}}`; err != nil || string(b) != text {
		t.Fatalf("%s, %v", b, err)
	}
	var got words
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{`{"Action":"x"}`, `{"Identity":"x"}`, `{"Kind":"x"}`, `{"Outcome":"x"}`, `{"Level":"x"}`, `{"Days":{"weak":"x"}}`} {
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"epoch":1,"first":"2026-09-21","last":"2026-09-22","seen":{"none":"3"},"weeks_none":"1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h History
		if json.Unmarshal(b, &h) != nil {
			return
		}
		if err := h.Valid(); err != nil {
			t.Fatal(err)
		}
	})
}
