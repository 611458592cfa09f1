package posttest

import (
	"strings"
	"testing"
)

func TestParseQueue(t *testing.T) {
	out := `{"queue_name": "hold", "queue_id": "A1", "arrival_time": 1, "sender": "a@b", "recipients": [{"address": "c@d"}]}
{"queue_name": "deferred", "queue_id": "B2", "sender": "MAILER-DAEMON", "recipients": [{"address": "e@f", "delay_reason": "451 later"}]}
`
	got, err := parseQueue(out)
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if got[0].Queue != "hold" || got[0].ID != "A1" || got[0].Sender != "a@b" || got[0].Recipients[0].Address != "c@d" {
		t.Errorf("%+v", got[0])
	}
	if got[1].Recipients[0].Delay != "451 later" {
		t.Errorf("%+v", got[1])
	}
	if got, err := parseQueue(""); len(got) > 0 || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parseQueue("{} {"); err == nil || !strings.Contains(err.Error(), "postqueue") {
		t.Error(err)
	}
}

func FuzzParseQueue(f *testing.F) {
	f.Add(`{"queue_name": "hold"}`)
	f.Add(`{}{"recipients": [{}]}`)
	f.Fuzz(func(t *testing.T, out string) {
		if got, err := parseQueue(out); err != nil && got != nil {
			t.Errorf("%v with %v", got, err)
		}
	})
}
