package incident_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tlsratchet/internal/incident"
	"tlsratchet/tlsstate"
)

const example = `{"id":17,"identity":"address:192.0.2.10","kind":"stripped","cap":"reject",
"evidence":{"pin":"TLSv1.2","since":"2026-09-21","last":"2026-11-21","days":41,"below":1},
"words":"address:192.0.2.10 came in clear","opened":"2026-11-22T10:00:00Z","last":"2026-11-22T10:05:00Z",
"closed":"2026-11-22T11:00:00Z","closed_by":"met","messages":3,"done":{"quarantine":2,"header":1},"seen":{"none":3},
"clients":[{"address":"192.0.2.10","host":"mx1.bank.example"}],"from":["bank.example"],
"held":[{"queue_id":"4XyZ12","at":"2026-11-22T10:00:00Z","reminded":1}],"reported":{"open":false,"at":"2026-11-22T11:00:00Z","messages":3}}`

func TestRecord(t *testing.T) {
	var i, j incident.Incident
	if err := json.Unmarshal([]byte(example), &i); err != nil {
		t.Fatal(err)
	}
	if i.ID != 17 || i.Kind != tlsstate.Stripped || i.Done[tlsstate.Quarantine] != 2 || i.IsOpen() || i.Evidence.Days != 41 {
		t.Errorf("got %+v", i)
	}
	again(t, i, &j)
}

func TestBadRecords(t *testing.T) {
	for old, bad := range map[string]string{
		`"id":17`:                  `"id":0`,
		`"address:192.0.2.10","k`:  `"address:192 0","k`,
		`"kind":"stripped"`:        `"kind":"naked"`,
		`"cap":"reject"`:           `"cap":"burn"`,
		`"pin":"TLSv1.2"`:          `"pin":"TLSv9"`,
		`"since":"2026-09-21"`:     `"since":"2826-09-21"`,
		`"closed_by":"met"`:        `"closed_by":"me"`,
		`"closed_by":"met",`:       ``,
		`{"none":3}`:               `{"most":3}`,
		`"header":1`:               `"Header":1`,
		`"messages":3,"done"`:      `"messages":-3,"done"`,
		`"clients":[`:              `"clients":[` + strings.Repeat(`{"address":"x"},`, 20),
		`"opened":"2026-11-22T10:`: `"opened":"2026-11-32T10:`,
	} {
		if !strings.Contains(example, old) {
			t.Fatalf("%s is not in the example", old)
		}
		var i incident.Incident
		if err := json.Unmarshal([]byte(strings.Replace(example, old, bad, 1)), &i); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

// FuzzRecord: whatever the bytes, an error, or an incident that is clean, within its
// bounds, and written back as something that decodes to the same.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(`{"id":1,"identity":"domain:x","kind":"none","cap":"observe","evidence":{"pin":"none"},"words":"\u001b\n","from":["\r\nX: y"],"reported":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var once, twice incident.Incident
		if json.Unmarshal(b, &once) != nil {
			return
		}
		if len(once.Clients) > incident.MaxClients || len(once.From) > incident.MaxFrom || len(once.Held) > incident.MaxHeld {
			t.Fatal("more than is kept")
		}
		texts := append([]string{once.Words, once.Identity.Name}, once.From...)
		for _, c := range once.Clients {
			texts = append(texts, c.String())
		}
		for _, s := range texts {
			if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("not clean: %q", s)
			}
		}
		again(t, once, &twice)
	})
}
