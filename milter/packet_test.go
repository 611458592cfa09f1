package milter

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	gomilter "github.com/emersion/go-milter"
	"pgregory.net/rapid"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// tape is a net.Conn that plays what the client sends, piece by piece, and keeps
// what it is sent.
type tape struct {
	net.Conn
	in            [][]byte
	out           []byte
	reads, writes int
}

func (t *tape) Read(p []byte) (int, error) {
	t.reads++
	if len(t.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, t.in[0])
	if t.in[0] = t.in[0][n:]; len(t.in[0]) == 0 {
		t.in = t.in[1:]
	}
	return n, nil
}

func (t *tape) Write(p []byte) (int, error) {
	t.writes++
	t.out = append(t.out, p...)
	return len(p), nil
}

func (t *tape) SetReadDeadline(time.Time) error  { return nil }
func (t *tape) SetWriteDeadline(time.Time) error { return nil }
func (t *tape) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "/test", Net: "unix"} }

// played is a server that one tape was played to.
type played struct {
	*Server
	*tape
	events []ratchet.Event
	log    strings.Builder
}

// play plays the pieces to a server with a judge of one answer.
func play(d ratchet.Decision, pieces ...[]byte) *played {
	p := &played{tape: &tape{in: pieces}}
	p.Server = New(inbound.Deps{
		Judge: &scripted{decision: d}, Now: time.Now, Log: slog.New(slog.NewTextHandler(&p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Events: func(e ratchet.Event) { // what it points to is only lent
			s := *e.Session
			e.Session = &s
			p.events = append(p.events, e)
		},
	}, inbound.Options{}, nil, DefaultLimits())
	p.Handle(p.tape)
	return p
}

// replies are the commands of what was answered.
func (p *played) replies() (all string) {
	for out := p.out; len(out) > 0; out = out[lengthSize+binary.BigEndian.Uint32(out):] {
		all += string(out[lengthSize : lengthSize+1])
	}
	return all
}

// frame is one packet, and optNeg what a client sends first.
func frame(cmd byte, data string) []byte { return packet(nil, cmd, data) }

func optNeg() []byte { return frame('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff") }

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

// message is what Postfix sends of one, over its whole length.
func message(sender string) []byte {
	return join(
		frame('D', "Cj\x00mx.ours.example\x00"), frame('D', "Hj\x00mx.ours.example\x00"),
		frame('D', macros("192.0.2.10", "")), frame('M', "<"+sender+">\x00"), frame('D', "Ri\x00"), frame('R', "<c@d.example>\x00"),
		frame('D', "Ti\x00"), frame('D', "Li\x00"), frame('L', "Subject\x00hello\x00"), frame('D', "Ei\x004Q1\x00"), frame('E', ""), frame('A', ""))
}

// The negotiation is the one that go-milter would have.
func TestNegotiationIsGoMilters(t *testing.T) {
	theirs := gomilter.Server{
		NewMilter: func() gomilter.Milter { return gomilter.NoOpMilter{} }, Actions: Actions, Protocol: Protocol,
		SymList: map[gomilter.Stage][]string{gomilter.StageMailFrom: MailMacros()},
	}
	ln, err := net.Listen("unix", t.TempDir()+"/m")
	if err != nil {
		t.Fatal(err)
	}
	go theirs.Serve(ln)
	defer ln.Close()
	c, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(optNeg()); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, len(negotiation)-len("....i."))
	if _, err := io.ReadFull(c, want); err != nil || negotiation[lengthSize:len(want)] != string(want[lengthSize:]) {
		t.Errorf("%q, want %q, %v", negotiation, want, err)
	}
	if got := play(ratchet.Decision{}, optNeg(), optNeg()); string(got.out) != negotiation+negotiation {
		t.Errorf("%q", got.out)
	}
}

// One message of a steady session costs one read and one write.
func TestOneReadOneWrite(t *testing.T) {
	steady := join(frame('A', ""), frame('D', macros("192.0.2.10", "TLSv1.3")), frame('M', "<a@b.example>\x00"))
	p := play(ratchet.Decision{}, optNeg(), steady, steady, steady)
	if p.replies() != "Oaaa" || p.reads != 5 || p.writes != 4 || len(p.events) != 3 {
		t.Errorf("%s by %d reads, %d writes; %d events", p.replies(), p.reads, p.writes, len(p.events))
	}
}

// However the client's bytes are cut, and whatever stands between, the answers
// are the same.
func TestCutsDoNotMatter(t *testing.T) {
	large := strings.Repeat("x", maxLength-1-len("Received\x00"))
	all := join(optNeg(), message("a@b.example"), frame('L', "Received\x00"+large), frame('B', large),
		frame('D', macros("192.0.2.10", "")[:1]+"{x}\x00"+large[:20000]+"\x00"+macros("192.0.2.11", "")[1:]),
		frame('M', "<"+large[:9000]+"@b.example>\x00"), frame('R', "<c@d.example>\x00"), frame('E', ""),
		frame('C', "h\x00U"), frame('H', "h\x00"), frame('T', ""), frame('N', ""), frame('B', ""), frame('Q', ""), frame('Z', ""))
	rapid.Check(t, func(t *rapid.T) {
		var cut [][]byte
		for rest := bytes.Clone(all); len(rest) > 0; {
			n := min(len(rest), rapid.OneOf(rapid.IntRange(1, 8), rapid.IntRange(1, 9000), rapid.IntRange(1, 1<<17)).Draw(t, "cut"))
			cut = append(cut, rest[:n])
			rest = rest[n:]
		}
		p := play(downgrade(tlsstate.Header), cut...)
		if got := p.replies(); got != "Occia"+"c"+"ccia"+"ccccc" || p.log.Len() > 0 {
			t.Fatalf("%s\n%s", got, &p.log)
		}
		if len(p.events) != 2 || p.events[0].QueueID != "4Q1" || p.events[1].Session.Peer.IP.String() != "192.0.2.11" || p.events[1].QueueID != "" || len(p.events[1].Session.From) != 9000+len("@b.example") {
			t.Fatalf("%+v", p.events)
		}
	})
}

// What is no packet of ours ends the connection, is counted and logged.
func TestRefused(t *testing.T) {
	notMilter, badFrame, tooBig, broken := Stats{NotMilter: 1}, Stats{BadFrame: 1}, Stats{FrameTooBig: 1}, Stats{}
	for _, s := range []*Stats{&notMilter, &badFrame, &tooBig} {
		s.Refused = 1
	}
	broken.Broken = 1
	for _, test := range []struct {
		name string
		in   []byte
		want Stats
		log  string
	}{
		{"http", []byte("GET / HTTP/1.1\r\nHost: \x1b]x\r\n\r\n"), notMilter, `error="refused: not a milter client" next="GET / HTTP/1.1??Host: ?]x????"`},
		{"smtp", []byte("EHLO x\r\n"), notMilter, `next="EHLO x??"`},
		{"zeroes", make([]byte, 64), notMilter, "not a milter"},
		{"mail first", frame('M', "<somebody@a.example>\x00"), notMilter, "not a milter"},
		{"short negotiation", frame('O', "\x00\x00\x00\x06"), notMilter, "not a milter"},
		{"a byte too short", frame('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff"), notMilter, "not a milter"},
		{"huge first", []byte("\xff\xff\xff\xffO"), notMilter, "not a milter"},
		{"a byte too big first", []byte("\x00\x01\x00\x01O"), notMilter, "not a milter"},
		{"huge", join(optNeg(), []byte("\x7f\xff\xff\xffB")), tooBig, "packet too big"},
		{"a byte too big", join(optNeg(), []byte("\x00\x01\x00\x01B")), tooBig, "too big"},
		{"empty", join(optNeg(), []byte{0, 0, 0, 0}), badFrame, "empty packet"},
		{"unknown", join(optNeg(), frame('U', "VRFY\x00")), badFrame, "unknown command"},
		{"a reply", join(optNeg(), frame('c', "")), badFrame, "unknown command"},
		{"half", join(optNeg(), frame('M', "<a@b>\x00")[:7]), broken, "level=DEBUG"},
		{"half of a large one", join(optNeg(), frame('M', strings.Repeat("x", 9000))[:7000]), broken, "level=DEBUG"},
		{"half a length", []byte("\x00\x00"), broken, "level=DEBUG"},
		{"a length", join(optNeg(), []byte{0, 0, 0, 9}), broken, "level=DEBUG"},
		{"half a chunk", join(optNeg(), frame('B', strings.Repeat("x", 20000))[:15000]), broken, "level=DEBUG"},
		{"nothing", nil, Stats{}, ""},
		{"negotiation and gone", optNeg(), Stats{}, ""},
		{"quit for a new connection", join(optNeg(), frame('K', ""), frame('Z', "")), Stats{}, ""},
		{"quit", join(optNeg(), frame('Q', ""), frame('Z', "")), Stats{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := play(ratchet.Decision{}, test.in)
			if p.Stats() != test.want {
				t.Errorf("stats %+v", p.Stats())
			}
			if got := p.log.String(); !strings.Contains(got, test.log) || test.log == "" && got != "" {
				t.Errorf("logged %q, want %q", got, test.log)
			}
		})
	}
}

// What Postfix sends again between two messages is not read again; all else is.
func TestMacrosOfTheNextMessage(t *testing.T) {
	abort, mail := frame('A', ""), frame('M', "<a@b.example>\x00")
	ten, eleven := frame('D', macros("192.0.2.10", "")), frame('D', macros("192.0.2.11", ""))
	for _, tt := range []struct {
		name, want string
		in         [][]byte
	}{
		{"the same again", "10 10", [][]byte{ten, mail, abort, ten, mail, abort}},
		{"no ABORT between", "10 10", [][]byte{ten, mail, mail}},
		{"other macros", "10 11 10", [][]byte{ten, mail, abort, eleven, mail, abort, ten, mail}},
		{"none after ABORT", "10", [][]byte{ten, mail, abort, mail}},
		{"none after ABORT, and then some", "10 10", [][]byte{ten, mail, abort, mail, abort, ten, mail}},
		{"macros of another stage", "10", [][]byte{ten, frame('D', "R{client_addr}\x00192.0.2.12\x00"), frame('D', "E{client_addr}\x00192.0.2.12\x00"), mail}},
		{"longer, the same so far", "10 10", [][]byte{ten, mail, abort, frame('D', macros("192.0.2.10", "")+"x\x00"), mail}},
		{"no macros at all", "", [][]byte{frame('D', ""), frame('D', "M"), mail, frame('D', "M\x00\x00"), mail}},
	} {
		p := play(ratchet.Decision{}, optNeg(), join(tt.in...))
		var got []string
		for _, e := range p.events {
			got = append(got, strings.TrimPrefix(e.Session.Peer.IP.String(), "192.0.2."))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: judged %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestAddress: the argument of MAIL or RCPT as Postfix takes it.
func TestAddress(t *testing.T) {
	for arg, want := range map[string]string{
		"<a@partner.example>\x00SIZE=1\x00":          "a@partner.example",
		"a@partner.example":                          "a@partner.example",
		"<>\x00":                                     "",
		"<a@partner.example(x)>\x00":                 "a@partner.example",
		"<a(a comment (nested) \\) here)@b.example>": "a@b.example",
		"a@b.example(never ends>":                    "a@b.example",
		"<a@b.example>(x)":                           "a@b.example",
		"<(x)>":                                      "",
		"<a @\tb.example>":                           "a@b.example",
		`<"a (b) c"@d.example (x)>`:                  `"a (b) c"@d.example`,
		`<"a\"(b"@d.example(")>`:                     `"a\"(b"@d.example`,
		`<a)b@d.example(x)\`:                         `a)b@d.example\`,
		`<a\(b@d.example>`:                           `a\(b@d.example`,
	} {
		if got := address([]byte(arg)); got != want {
			t.Errorf("%q: %q, want %q", arg, got, want)
		}
	}
}

// FuzzServer: whatever comes, the connection ends and the answers are packets.
func FuzzServer(f *testing.F) {
	f.Add([]byte("M<a@b.example>\x00"), []byte("R<c@d>\x00"), []byte("E"), true)
	f.Add([]byte("Chost\x004\x00"), []byte("D"), []byte("DM\x00\x00\x00"), true)
	f.Add([]byte("DM{client_addr}\x00192.0.2.10"), []byte("M<a@b(\\"), []byte("R"), true)
	f.Add([]byte("GET / HTTP/1.1\r\n"), []byte(""), []byte("\x00"), false)
	f.Fuzz(func(t *testing.T, a, b, c []byte, framed bool) {
		in := [][]byte{a, b, c}
		if framed {
			in = [][]byte{optNeg()}
			for _, p := range [][]byte{a, b, c} {
				if len(p) > 0 {
					in = append(in, frame(p[0], string(p[1:])))
				}
			}
		}
		p := play(downgrade(tlsstate.Quarantine), join(in...))
		p.replies()
		if len(p.out) > len(negotiation)*3+4000 || p.Failures() > 0 {
			t.Fatalf("%d bytes, %d failures: %s", len(p.out), p.Failures(), &p.log)
		}
	})
}
