package mtatest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseReply(t *testing.T) {
	for _, test := range []struct {
		code byte
		data string
		want string
	}{
		{'a', "", "accept"},
		{'c', "", "continue"},
		{'d', "", "discard"},
		{'r', "", "reject"},
		{'t', "", "tempfail"},
		{'s', "", "skip"},
		{'y', "451 4.7.1 come back\x00", "y451 4.7.1 come back"},
		{'y', "550 5.7.1 100%% sure\x00", "y550 5.7.1 100% sure"},
		{'y', "550 5.7.1 100% sure\x00", "y550 5.7.1 100 sure"},
		{'y', "450 later\x00", "y450 later"},
		{'y', "451-4.7.1 a\r\n451 4.7.1 b\x00", "y451-4.7.1 a\r\n451 4.7.1 b"},
	} {
		got, err := parseReply('M', test.code, []byte(test.data))
		if err != nil || got.String() != test.want {
			t.Errorf("%c %q: got %q, %v", test.code, test.data, got, err)
		}
	}
}

// What Postfix would not take is an error.
func TestParseReplyRefuses(t *testing.T) {
	for _, test := range []struct {
		code byte
		data string
	}{
		{'a', "x"}, {'z', ""}, {0, ""}, {'O', ""},
		{'y', ""}, {'y', "451\x00"}, {'y', "250 2.0.0 ok\x00"}, {'y', "451 5.7.1 mixed\x00"},
		{'y', "4a1 4.7.1 x\x00"}, {'y', "451_4.7.1 x\x00"},
	} {
		if got, err := parseReply('M', test.code, []byte(test.data)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q %q: got %q, %v", test.code, test.data, got, err)
		}
	}
}

func TestHeaders(t *testing.T) {
	r := Result{Edits: []Edit{
		{Op: Delete, Index: 2, Name: "X-Ours"},
		{Op: Delete, Index: 1, Name: "x-ours"},
		{Op: Delete, Index: 1, Name: "X-Ours"}, // none is left
		{Op: Change, Index: 1, Name: "Subject", Value: "new"},
		{Op: Change, Index: 2, Name: "Subject", Value: "one more"},
		{Op: Insert, Index: 0, Name: "X-Ours", Value: "ours"},
		{Op: Insert, Index: 99, Name: "Late", Value: "l"},
		{Op: Add, Name: "Last", Value: "z"},
	}}
	in := [][2]string{{"X-Ours", "forged"}, {"Subject", "old"}, {"X-OURS", "forged"}}
	want := [][2]string{{"X-Ours", "ours"}, {"Subject", "new"}, {"Subject", "one more"}, {"Late", "l"}, {"Last", "z"}}
	if diff := cmp.Diff(want, r.Headers(in)); diff != "" {
		t.Error(diff)
	}
	if in[1][1] != "old" {
		t.Error("the message's headers were changed")
	}
}

// No reply of a milter's breaks the client.
func FuzzReply(f *testing.F) {
	f.Add(byte('y'), []byte("451 4.7.1 x%"))
	f.Add(byte('i'), []byte("\x00\x00\x00\x01N\x00v\x00"))
	f.Add(byte('m'), []byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, code byte, data []byte) {
		var r Result
		edited, err := r.edit(code, data)
		if err == nil && !edited {
			var reply Reply
			reply, err = parseReply('E', code, data)
			if err == nil && reply.String() == "" {
				t.Errorf("%q %q has no words", code, data)
			}
		}
		if err != nil && !errors.Is(err, ErrProtocol) {
			t.Errorf("%v", err)
		}
		r.Headers([][2]string{{"N", "v"}})
	})
}
