package mtatest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	cont   = packet('c', "")
	accept = packet('a', "")
)

// willing wants everything, to the end.
func willing() map[byte]string {
	script := map[byte]string{'E': accept}
	for _, cmd := range []byte("CHMRTLNB") {
		script[cmd] = cont
	}
	return script
}

func letter() Message {
	return Message{
		Macros:  map[string]string{"i": "4XyZ", "{client_addr}": "192.0.2.1", "{tls_version}": "TLSv1.3", "{mail_addr}": "a@s.example"},
		From:    "a@s.example",
		Args:    []string{"SIZE=7"},
		Rcpts:   []string{"b@h.example", "c@h.example"},
		Headers: [][2]string{{"Subject", "hi"}},
		Body:    []byte("hello\r\n"),
	}
}

// play sends messages in one session and returns what the milter packets after
// the negotiation, NULs as bars.
func play(t *testing.T, a *answers, opts Options, messages ...Message) (results []Result, packets []string) {
	t.Helper()
	s, err := a.dial(t, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		r, err := s.Message(m)
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	s.Close()
	for _, p := range a.packets()[1:] {
		packets = append(packets, strings.ReplaceAll(p, "\x00", "|"))
	}
	return results, packets
}

func spoken(replies []Reply) string {
	var all []string
	for _, r := range replies {
		all = append(all, string(r.Event)+":"+r.String())
	}
	return strings.Join(all, " ")
}

// Everything in Postfix's order, with Postfix's default macros.
func TestOrder(t *testing.T) {
	opts := Options{
		Hostname: "mx.s.example", Addr: "192.0.2.1", Port: 25, Helo: "mx.s.example",
		Macros: map[string]string{"j": "here.example", "{tls_version}": "TLSv1.2"},
	}
	results, packets := play(t, &answers{script: willing()}, opts, letter())
	want := []string{
		"DCj|here.example|", "Cmx.s.example|4|\x19192.0.2.1|",
		"DH{tls_version}|TLSv1.2|", "Hmx.s.example|",
		"DM{mail_addr}|a@s.example|", "M<a@s.example>|SIZE=7|",
		"DR", "R<b@h.example>|",
		"DRi|4XyZ|", "R<c@h.example>|",
		"DTi|4XyZ|", "T",
		"DLi|4XyZ|", "LSubject|hi|",
		"DNi|4XyZ|", "N",
		"DBi|4XyZ|", "Bhello\r\n",
		"DEi|4XyZ|", "E",
		"A", "Q",
	}
	if diff := cmp.Diff(want, packets); diff != "" {
		t.Error(diff)
	}
	r := results[0]
	if got := spoken(r.Replies); got != "M:continue R:continue R:continue T:continue L:continue N:continue B:continue E:accept" {
		t.Errorf("replies %s", got)
	}
	if r.End.String() != "accept" || len(r.Rcpts) != 2 || r.Trips != 10 || r.Received != 50 || r.Sent == 0 {
		t.Errorf("%+v", r)
	}
}

func TestConnectForms(t *testing.T) {
	for addr, want := range map[string]string{
		"":                 "Cunknown|U",
		"192.0.2.1":        "Cunknown|4||192.0.2.1|",
		"IPv6:2001:db8::1": "Cunknown|6||IPv6:2001:db8::1|",
	} {
		_, packets := play(t, &answers{script: willing()}, Options{Hostname: "unknown", Addr: addr}, letter())
		if packets[1] != want {
			t.Errorf("%q: %q, want %q", addr, packets[1], want)
		}
	}
}

// A milter gets the macros that it asked for, at the stages where it asked;
// an MTA that ignores that sends its own.
func TestSymList(t *testing.T) {
	lists := "\x00\x00\x00\x02{client_addr} {tls_version} {cipher}\x00\x00\x00\x00\x03\x00"
	quiet := uint32(noConnect | noHelo | noData | noHeaders | noEOH | noBody)
	script := map[byte]string{'M': cont, 'R': accept}
	for _, test := range []struct {
		ignore bool
		want   []string
	}{
		{false, []string{"DC", "DM{client_addr}|192.0.2.1|{tls_version}|TLSv1.3|", "M<>|", "R<b@h.example>|", "A", "Q"}},
		{true, []string{"DC", "DM{mail_addr}|a@s.example|", "M<>|", "DR", "R<b@h.example>|", "A", "Q"}},
	} {
		m := letter()
		m.From, m.Args = "", nil
		_, packets := play(t, &answers{protocol: quiet, lists: lists, script: script}, Options{IgnoreSymList: test.ignore}, m)
		if diff := cmp.Diff(test.want, packets); diff != "" {
			t.Errorf("ignore %v: %s", test.ignore, diff)
		}
	}
}

// How a message ends, and what is not sent any more then.
func TestEnds(t *testing.T) {
	refuse := packet('y', "451 4.7.1 50%% later\x00")
	for _, test := range []struct {
		name    string
		script  map[byte]string
		replies string
		end     string
		trips   int
	}{
		{"accept at MAIL", map[byte]string{'M': accept}, "M:accept", "accept", 1},
		{"discard at MAIL", map[byte]string{'M': packet('d', "")}, "M:discard", "discard", 1},
		{"refused at MAIL", map[byte]string{'M': refuse}, "M:y451 4.7.1 50% later", "y451 4.7.1 50% later", 1},
		{"tempfail at MAIL", map[byte]string{'M': packet('t', "")}, "M:tempfail", "tempfail", 1},
		{"accept at RCPT", map[byte]string{'R': accept}, "M:continue R:accept", "accept", 2},
		{"all refused", map[byte]string{'R': refuse}, "M:continue R:y451 4.7.1 50% later R:y451 4.7.1 50% later", "", 3},
		{"refused at DATA", map[byte]string{'T': refuse}, "M:continue R:continue R:continue T:y451 4.7.1 50% later", "y451 4.7.1 50% later", 4},
		{"reject at EOH", map[byte]string{'N': packet('r', "")}, "M:continue R:continue R:continue T:continue L:continue N:reject", "reject", 6},
		{"enough of the body", map[byte]string{'B': packet('s', "")},
			"M:continue R:continue R:continue T:continue L:continue N:continue B:skip E:accept", "accept", 8},
		{"continue at the end", map[byte]string{'E': cont},
			"M:continue R:continue R:continue T:continue L:continue N:continue B:continue B:continue B:continue E:continue", "continue", 10},
		{"progress", map[byte]string{'M': packet('p', "") + packet('p', "") + accept}, "M:accept", "accept", 1},
	} {
		script := willing()
		for cmd, reply := range test.script {
			script[cmd] = reply
		}
		m := letter()
		m.Body = bytes.Repeat([]byte("x"), 2*maxChunk+1)
		results, packets := play(t, &answers{protocol: noConnect | noHelo, script: script}, Options{}, m, m)
		for _, r := range results { // the second as the first
			if spoken(r.Replies) != test.replies || r.End.String() != test.end || r.Trips < 1 || r.Trips > test.trips {
				t.Errorf("%s: %s, end %q, %d trips", test.name, spoken(r.Replies), r.End, r.Trips)
			}
		}
		if n := strings.Count(strings.Join(packets, "\n"), "\nA"); n != 2 {
			t.Errorf("%s: %d aborts", test.name, n)
		}
	}
}

// A refused recipient ends nothing for the others, and gets no queue id made.
func TestOneRecipientRefused(t *testing.T) {
	milter := &answers{protocol: noConnect | noHelo, script: willing()}
	s, err := milter.dial(t, Options{})
	if err != nil {
		t.Fatal(err)
	}
	milter.script['R'] = packet('y', "550 5.7.1 no\x00")
	m := letter()
	r, err := s.Message(m)
	if err != nil || len(r.Rcpts) != 2 || !r.Rcpts[0].Refused() || r.End != (Reply{}) || r.Reply('R').Text != "550 5.7.1 no" {
		t.Errorf("%+v %v", r, err)
	}
	if r.Reply('E') != (Reply{}) {
		t.Error("an end of message that never was")
	}
	s.Close()
	for _, p := range milter.packets() {
		if p == "T" || strings.HasPrefix(p, "DRi") {
			t.Errorf("packets %q", p)
		}
	}
}

// Where no reply is due none is waited for, and all goes in few writes.
func TestNoReplies(t *testing.T) {
	all := uint32(noConnRepl | noHeloRepl | noMailRepl | noRcptRepl | noDataRepl | noHeaderRepl | noEOHRepl | noBodyRepl)
	m := letter()
	for range 200 {
		m.Headers = append(m.Headers, [2]string{"Received", "from somewhere by somewhere else with ESMTPS"})
	}
	results, packets := play(t, &answers{protocol: all, script: map[byte]string{'E': accept}}, Options{Helo: "h"}, m)
	if r := results[0]; r.Trips != 1 || r.End.String() != "accept" || len(r.Rcpts) != 2 {
		t.Errorf("%+v", r)
	}
	if len(packets) != 422 {
		t.Errorf("%d packets", len(packets))
	}
}

// A milter that decides at connect or helo receives nothing more.
func TestSessionDecided(t *testing.T) {
	for _, cmd := range []byte("CH") {
		script := willing()
		script[cmd] = packet('y', "554 5.7.1 go away\x00")
		results, packets := play(t, &answers{script: script}, Options{Helo: "h"}, letter(), letter())
		for _, r := range results {
			if r.End.String() != "y554 5.7.1 go away" || len(r.Replies) != 0 {
				t.Errorf("%c: %+v", cmd, r)
			}
		}
		if last := packets[len(packets)-1]; last[0] != cmd {
			t.Errorf("%c: last packets %q", cmd, last)
		}
	}
}

func TestEhloAgain(t *testing.T) {
	milter := &answers{protocol: noConnect, script: willing()}
	s, err := milter.dial(t, Options{Helo: "one"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := s.Ehlo("two"); err != nil || r != (Reply{}) { // with the first message
		t.Errorf("%v %v", r, err)
	}
	if _, err := s.Message(letter()); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Ehlo("three"); err != nil || r.String() != "continue" {
		t.Errorf("%v %v", r, err)
	}
	s.Close()
	packets := strings.ReplaceAll(strings.Join(milter.packets(), " "), "\x00", "|")
	if !strings.Contains(packets, "DC DH Htwo| DM") || !strings.HasSuffix(packets, "E A A DH Hthree| Q") {
		t.Errorf("packets %q", packets)
	}
}

// What Postfix would give up on is an error, at any stage.
func TestBadReplies(t *testing.T) {
	for name, bad := range map[byte]string{
		'C': packet('x', ""), 'H': packet('a', "x"), 'M': packet('y', "no"), 'R': packet('h', "N\x00v\x00"),
		'T': packet('\x00', ""), 'L': packet('O', ""), 'N': packet('c', "\x00"), 'B': packet('y', ""),
		'E': packet('h', "N\x00v"),
	} {
		script := willing()
		script[name] = bad
		a := &answers{script: script}
		s, err := a.dial(t, Options{Helo: "h"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Message(letter()); err == nil {
			t.Errorf("%c: no error", name)
		}
		s.Close()
	}
}
