package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-milter"
	"pgregory.net/rapid"
)

// tape is a net.Conn that plays what the client says, piece by piece, and
// keeps what it is passed: one entry for each system call there would be.
type tape struct {
	net.Conn
	in       [][]byte
	reads    int
	writes   [][]byte
	deadline int
	fail     error
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
	t.writes = append(t.writes, bytes.Clone(p))
	return len(p), t.fail
}

func (t *tape) SetReadDeadline(time.Time) error  { t.deadline++; return nil }
func (t *tape) SetWriteDeadline(time.Time) error { t.deadline++; return nil }
func (t *tape) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "/test", Net: "unix"} }
func (t *tape) RemoteAddr() net.Addr             { return &net.UnixAddr{Net: "unix"} }
func (t *tape) Close() error                     { return nil }

// pieces are what a tape plays.
func pieces(texts ...string) (all [][]byte) {
	for _, text := range texts {
		all = append(all, []byte(text))
	}
	return all
}

// onTape is a connection of a server that has no listeners.
func onTape(t testing.TB, in ...[]byte) (*conn, *tape, *lines) {
	t.Helper()
	log := &lines{}
	s := New(newConfig(filter{}, log))
	s.idle.drop(true)
	tp := &tape{in: in}
	if !s.gate.admit(tp) {
		t.Fatal("not admitted")
	}
	return s.newConn(tp), tp, log
}

// readFrame reads as go-milter does: the length, then the rest.
func readFrame(c *conn) ([]byte, error) {
	var head [lengthSize]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, lengthSize+binary.BigEndian.Uint32(head[:]))
	copy(frame, head[:])
	_, err := io.ReadFull(c, frame[lengthSize:])
	return frame, err
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

func ours(name []byte) bool { return strings.EqualFold(string(name), "X-Ours") }

// One message of a steady session costs one read and one write.
func TestOneReadOneWrite(t *testing.T) {
	message := func(version string) []byte {
		return join(frame('A', ""), frame('D', "M{tls_version}\x00"+version+"\x00"), frame('M', "<a@b>\x00"))
	}
	c, tp, _ := onTape(t, optNeg(), message("TLSv1.2"), message("TLSv1.3"))
	for range 2 * 3 {
		f, err := readFrame(c)
		if err != nil {
			t.Fatal(err)
		}
		if f[4] == 'M' { // in two pieces, and something unasked for before it
			c.Write(frame('q', "held\x00"))
			c.Write([]byte{0, 0, 0})
			c.Write([]byte{1, 'a'})
		}
	}
	c.Close()
	if tp.reads != 3 || len(tp.writes) != 1+2 || tp.deadline > 3 {
		t.Errorf("%d reads, %d writes, %d deadlines", tp.reads, len(tp.writes), tp.deadline)
	}
	if want := join(frame('q', "held\x00"), frame('a', "")); !bytes.Equal(tp.writes[2], want) {
		t.Errorf("wrote %q, want %q", tp.writes[2], want)
	}
}

// What changes nothing is no news for go-milter: ABORT after the end of a
// message, and then the macros that it has. All else reaches it as it came.
func TestRepeatsAreDropped(t *testing.T) {
	abort, mail, rcpt := frame('A', ""), frame('M', "<a@b>\x00"), frame('R', "<c@d>\x00")
	macros := func(text string) []byte { return frame('D', text) }
	tls, clear := macros("M{tls_version}\x00TLSv1.3\x00"), macros("M{tls_version}\x00\x00")
	huge := macros("M" + strings.Repeat("x", maxKept))
	for _, tt := range []struct {
		name, want string
		reply      byte
		in         [][]byte
	}{
		{"the same again", "DMMM", 'a', [][]byte{tls, mail, abort, tls, mail, abort, tls, mail}},
		{"other macros", "DMADMADM", 'a', [][]byte{tls, mail, abort, clear, mail, abort, tls, mail}},
		{"no macros after ABORT", "DMAM", 'a', [][]byte{tls, mail, abort, mail}},
		{"a message broken off", "DMADM", 'c', [][]byte{tls, mail, abort, tls, mail}},
		{"refused at RCPT, which ends nothing", "DMRADM", 'y', [][]byte{tls, mail, rcpt, abort, tls, mail}},
		{"macros of another stage since", "DMDADM", 'a', [][]byte{tls, mail, clear, abort, tls, mail}},
		{"an ABORT that reached it", "DMAADM", 'a', [][]byte{tls, mail, abort, abort, tls, mail}},
		{"more than is remembered", "DMADM", 'a', [][]byte{huge, mail, abort, huge, mail}},
		{"longer, the same so far", "DMADM", 'a', [][]byte{tls, mail, abort, macros("M{tls_version}\x00TLSv1.3\x00i\x00"), mail}},
		{"no ABORT", "DMEDM", 'a', [][]byte{tls, mail, frame('E', ""), tls, mail}},
		{"ABORT with data", "DMADM", 'a', [][]byte{tls, mail, frame('A', "x"), tls, mail}},
	} {
		c, _, _ := onTape(t, optNeg(), join(tt.in...))
		callbacks := &answering{conn: c}
		got := ""
		for {
			f, err := readFrame(c)
			if err != nil {
				break
			}
			got += string(f[lengthSize])
			switch f[lengthSize] {
			case 'M':
				reply := tt.reply
				if strings.Contains(tt.want, "R") {
					reply = 'c'
				}
				callbacks.write(milter.CodeMail, milter.NewResponse(reply, nil), nil)
			case 'R':
				callbacks.write(milter.CodeRcpt, milter.NewResponse(tt.reply, nil), nil)
			}
		}
		c.Close()
		if got != tt.want {
			t.Errorf("%s: go-milter sees %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A connection knows nothing of the one whose buffers it has.
func TestRepeatsAreOfOneConnection(t *testing.T) {
	macros, mail := frame('D', "M{tls_version}\x00TLSv1.3\x00"), frame('M', "<a@b>\x00")
	for range 3 {
		c, _, _ := onTape(t, optNeg(), join(frame('A', ""), macros, mail))
		for _, want := range "ADM" {
			if f, err := readFrame(c); err != nil || rune(f[lengthSize]) != want {
				t.Fatalf("got %q, want %q: %v", f, want, err)
			}
		}
		c.Close()
	}
}

// The negotiation is the one that go-milter would have.
func TestNegotiationIsGoMilters(t *testing.T) {
	config := newConfig(filter{}, &lines{})
	inner := milter.Server{
		NewMilter: config.Backend, Actions: config.Actions, Protocol: config.Protocol, SymList: config.SymList,
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	inner.Serve(&once{conn: theirs})
	if _, err := ours.Write(optNeg()); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, len(negotiation(config)))
	if _, err := io.ReadFull(ours, want); err != nil || !bytes.Equal(negotiation(config), want) {
		t.Errorf("%q, want %q, %v", negotiation(config), want, err)
	}
}

// Postfix sends macros for events too that it was asked not to send.
func TestMacrosOfNoEventAreDropped(t *testing.T) {
	c, _, _ := onTape(t, optNeg(), join(
		frame('D', "Cj\x00mx.ours.example\x00"), frame('D', "H{tls_version}\x00TLSv1.3\x00"),
		frame('D', "M{client_addr}\x00192.0.2.1\x00"), frame('M', "<a@b>\x00"), frame('D', "Ri\x00"), frame('R', "<c@d>\x00"),
		frame('D', "Ti\x00"), frame('D', "Ni\x00"), frame('D', "Bi\x00"), frame('D', "Ei\x00"), frame('E', "")))
	defer c.Close()
	got := ""
	for {
		f, err := readFrame(c)
		if err != nil {
			break
		}
		if got += string(f[lengthSize]); milter.Code(f[lengthSize]) == milter.CodeMacro {
			got += string(f[headSize])
		}
	}
	if want := "DMMDRRDEE"; got != want {
		t.Errorf("go-milter sees %s, want %s", got, want)
	}
}

// Large packets go through, whatever the sizes of reads, and so does the one
// that is exactly as large as may be.
func TestLargeFrames(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 65535)
	var in [][]byte
	for rest := join(optNeg(), frame('B', string(body)), frame('E', "")); len(rest) > 0; {
		n := min(len(rest), 5000)
		in = append(in, rest[:n])
		rest = rest[n:]
	}
	c, _, log := onTape(t, in...)
	defer c.Close()
	for _, want := range []int{4 + 1 + 65535, 5} {
		f, err := readFrame(c)
		if err != nil || len(f) != want {
			t.Errorf("%d bytes, want %d: %v %v", len(f), want, err, log.all())
		}
	}
}

// What a client sends of a packet before it leaves is all that goes through.
func TestGoneWithinALargePacket(t *testing.T) {
	half := frame('B', strings.Repeat("x", 10_000))[:6000]
	c, _, _ := onTape(t, optNeg(), half)
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, half) {
		t.Errorf("%d bytes, want %d: %v", len(got), len(half), err)
	}
	c.Close()
}

func TestKeepHeader(t *testing.T) {
	long := strings.Repeat("v", 30000)
	in := join(optNeg(),
		frame('L', "Subject\x00hello\x00"),
		frame('D', "Li\x004XyZ\x00"),
		frame('L', "X-Ours\x00one\x00"),
		frame('L', "Received\x00"+long+"\x00"),
		frame('L', "x-ours\x00"+long+"\x00"),
		frame('L', long+"\x00no such name\x00"),
		frame('L', "no end of a name"),
		frame('L', "\x00"),
		frame('L', ""),
		frame('D', ""),
		frame('D', "Ei\x00"),
		frame('E', ""))
	c, _, _ := onTape(t, in)
	defer c.Close()
	var got []string
	c.callbacks.Milter = filter{header: func(name, value string) milter.Response {
		got = append(got, name+value)
		return nil
	}}
	for {
		f, err := readFrame(c)
		if err != nil {
			break
		}
		got = append(got, string(f[4:min(11, len(f))]))
	}
	if s := strings.Join(got, " "); s != "X-Ours x-ours D DEi\x00 E" {
		t.Errorf("got %q", s)
	}
}

// TestNextClient: a session of go-milter has one client after the other, and nothing of
// one before.
func TestNextClient(t *testing.T) {
	first := join(optNeg(), frame('D', "M{tls_version}\x00TLSv1.3\x00"), frame('M', "<a@b>\x00"))
	half := join(first, frame('R', "<c@d>\x00")[:7])
	for _, tt := range []struct {
		name, want string
		in         []byte
		next       string // what the next client sends after its negotiation
	}{
		{"macros replace those before", "DMDM", first, "DM"},
		{"no macros", "DMAM", first, "M"},
		{"macros alone that are dropped", "DMAM", first, "hhM"},
		{"two messages", "DMDMAM", first, "DMAM"},
		{"refused", "DMAR", join(first, frame('U', "")), "R"},
		{"gone within a packet that waits to be whole", "DMAE", half, "E"},
		{"sends nothing", "DM", first, ""},
		{"after QUIT", "DMDM", join(first, frame('Q', "")), "DM"},
		{"after QUIT_NC", "DMDM", join(first, frame('K', "")), "DM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { nextClient(t, tt.in, tt.next, tt.want) })
		})
	}
}

// TestManyNextClients: clients that say nothing leave nothing on a session's stack.
func TestManyNextClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var depths []int
		config := newConfig(filter{}, &lines{})
		config.Backend = func() milter.Milter {
			depths = append(depths, runtime.Callers(0, make([]uintptr, 1000)))
			return filter{}
		}
		s := New(config)
		for range 100 {
			tp := &tape{in: [][]byte{optNeg()}}
			if !s.gate.admit(tp) {
				t.Fatal("not admitted")
			}
			s.serve(tp)
			synctest.Wait()
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if d := depths[1:]; len(d) != 99 || slices.Min(d) != slices.Max(d) {
			t.Errorf("frames on the stack: %v", d)
		}
	})
}

func nextClient(t *testing.T, in []byte, next, want string) {
	s := New(newConfig(filter{}, &lines{}))
	other := optNeg()
	for _, cmd := range []byte(next) {
		data := map[byte]string{'D': "M{tls_version}\x00\x00", 'M': "<e@f>\x00", 'h': "H{tls_version}\x00\x00"}[cmd]
		if cmd == 'h' { // of an event that does not come
			cmd = byte(milter.CodeMacro)
		}
		other = append(other, frame(cmd, data)...)
	}
	tapes := []*tape{{in: [][]byte{in}}, {in: [][]byte{other}}}
	for _, tp := range tapes {
		if !s.gate.admit(tp) {
			t.Fatal("not admitted")
		}
	}
	c, got := s.newConn(tapes[0]), ""
	go func() {
		defer c.Close()
		for {
			f, err := readFrame(c)
			if err != nil {
				return
			}
			if got += string(f[lengthSize]); milter.Code(f[lengthSize]) == milter.CodeMail {
				c.callbacks.write(milter.CodeMail, milter.RespAccept, nil)
			}
		}
	}()
	synctest.Wait()
	s.serve(tapes[1])
	synctest.Wait()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	synctest.Wait()
	if got != want {
		t.Errorf("go-milter got %s, want %s", got, want)
	}
	for i, tp := range tapes {
		sent := []string{"M", next}[i]
		if answers := bytes.Count(bytes.Join(tp.writes, nil), frame('a', "")); answers != strings.Count(sent, "M") {
			t.Errorf("client %d has %d answers", i, answers)
		}
	}
	if again, ok := s.idle.take(); ok {
		t.Errorf("%v is idle", again)
	}
}

func TestRefused(t *testing.T) {
	type stat = func(Stats) uint64
	notMilter := func(s Stats) uint64 { return uint64(s.NotMilter) }
	badFrame := func(s Stats) uint64 { return uint64(s.BadFrame) }
	tooBig := func(s Stats) uint64 { return uint64(s.FrameTooBig) }
	broken := func(s Stats) uint64 { return s.Broken }
	none := func(Stats) uint64 { return 1 }
	for _, test := range []struct {
		name string
		in   []byte
		stat stat
		log  string
	}{
		{"http", []byte("GET / HTTP/1.1\r\nHost: \x1b]x\r\n\r\n"), notMilter, "not a milter client"},
		{"smtp", []byte("EHLO x\r\n"), notMilter, `next="EHLO x??"`},
		{"zeroes", make([]byte, 64), notMilter, "not a milter"},
		{"mail first", frame('M', "<somebody@a.example>\x00"), notMilter, "not a milter"},
		{"short negotiation", frame('O', "\x00\x00\x00\x06"), notMilter, "not a milter"},
		{"huge first", []byte("\xff\xff\xff\xffO"), notMilter, "not a milter"},
		{"huge", join(optNeg(), []byte("\x7f\xff\xff\xffB")), tooBig, "packet too big"},
		{"a byte too big", join(optNeg(), []byte("\x00\x01\x00\x01B")), tooBig, "too big"},
		{"empty", join(optNeg(), []byte{0, 0, 0, 0}), badFrame, "empty packet"},
		{"unknown", join(optNeg(), frame('U', "VRFY\x00")), badFrame, "unknown command"},
		{"a reply", join(optNeg(), frame('c', "")), badFrame, "unknown command"},
		{"half", join(optNeg(), frame('M', "<a@b>\x00")[:7]), broken, "unexpected EOF"},
		{"half a length", []byte("\x00\x00"), broken, "unexpected EOF"},
		{"half a chunk", join(optNeg(), frame('B', strings.Repeat("x", 20000))[:15000]), broken, "unexpected EOF"},
		{"nothing", nil, none, ""},
		{"negotiation and gone", optNeg(), none, ""},
		{"quit for a new connection", join(optNeg(), frame('K', ""), frame('Z', "")), none, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _, log := onTape(t, test.in)
			var err error
			for err == nil {
				_, err = readFrame(c)
			}
			if err != io.EOF && err != io.ErrUnexpectedEOF {
				t.Errorf("ended with %v", err)
			}
			if _, again := c.Read(make([]byte, 4)); again != io.EOF {
				t.Errorf("read on after the end: %v", again)
			}
			c.Close()
			got := log.all()
			if test.stat(c.srv.Stats()) != 1 || c.srv.Stats().Open != 0 {
				t.Errorf("stats %+v", c.srv.Stats())
			}
			if test.log == "" && len(got) != 0 || test.log != "" && (len(got) != 1 || !strings.Contains(got[0], test.log)) {
				t.Errorf("logged %q, want one line with %q", got, test.log)
			}
			if strings.ContainsFunc(strings.Join(got, ""), func(r rune) bool { return r < 0x20 || r > 0x7E }) {
				t.Errorf("unclean: %q", got)
			}
		})
	}
}

// A client that is gone before its reply is counted, and reported only to who
// debugs.
func TestWriteFails(t *testing.T) {
	c, tp, log := onTape(t, optNeg(), frame('E', ""))
	if _, err := readFrame(c); err != nil {
		t.Fatal(err)
	}
	tp.fail = errors.New("broken pipe")
	c.Out = append(c.Out, "answer"...)
	if b, err := c.In.Peek(1); len(b) > 0 || !errors.Is(err, tp.fail) {
		t.Errorf("read %q with a failed write, %v", b, err)
	}
	c.Write(frame('c', ""))
	if _, err := readFrame(c); err != io.EOF {
		t.Errorf("read after a failed write: %v", err)
	}
	c.Close()
	if got := log.all(); c.srv.Stats().Broken != 1 || len(got) != 1 || !strings.Contains(got[0], "level=DEBUG") {
		t.Errorf("%+v %q", c.srv.Stats(), got)
	}
}

// What is gathered is bounded.
func TestGatherIsBounded(t *testing.T) {
	c, tp, _ := onTape(t)
	for range 100 {
		if _, err := c.Write(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	total := 0
	for _, w := range tp.writes {
		if total += len(w); len(w) > maxGathered {
			t.Errorf("%d bytes at once", len(w))
		}
	}
	if total != 100*4096 {
		t.Errorf("%d bytes of %d", total, 100*4096)
	}
}

// However the client's bytes are cut, go-milter sees the same packets, none of which is
// here twice, and no headers.
func TestCutsDoNotMatter(t *testing.T) {
	commands := []byte("ABCDEHLMNORT")
	rapid.Check(t, func(t *rapid.T) {
		var all, want [][]byte
		for i := range rapid.IntRange(0, 20).Draw(t, "frames") {
			size := rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(0, 20000)).Draw(t, "size")
			data := string(rune('a'+i)) + strings.Repeat("d", size)
			one := frame(rapid.SampledFrom(commands).Draw(t, "command"), data)
			if all = append(all, one); one[lengthSize] != byte(milter.CodeHeader) {
				want = append(want, one)
			}
		}
		var cut [][]byte
		for rest := join(optNeg(), join(all...)); len(rest) > 0; {
			n := min(len(rest), rapid.OneOf(rapid.IntRange(1, 8), rapid.IntRange(1, 9000)).Draw(t, "cut"))
			cut = append(cut, rest[:n])
			rest = rest[n:]
		}
		s := New(newConfig(filter{}, &lines{}))
		s.idle.drop(true)
		c := s.newConn(&tape{in: cut})
		for i, w := range want {
			if got, err := readFrame(c); err != nil || !bytes.Equal(got, w) {
				t.Fatalf("packet %d: %d bytes, want %d: %v", i, len(got), len(w), err)
			}
		}
		if _, err := readFrame(c); err != io.EOF {
			t.Fatalf("end: %v", err)
		}
	})
}

// TestLeavesOut: each flag is that of its command.
func TestLeavesOut(t *testing.T) {
	want := map[byte]milter.OptProtocol{
		'C': milter.OptNoConnect, 'H': milter.OptNoHelo, 'T': milter.OptNoData, 'N': milter.OptNoEOH, 'B': milter.OptNoBody,
	}
	for _, cmd := range []byte("ABCDEHKLMNOQRT") {
		if got := leavesOut(milter.Code(cmd)); got != want[cmd] {
			t.Errorf("%c: %x, want %x", cmd, got, want[cmd])
		}
	}
}

func TestEndsMessage(t *testing.T) {
	for _, test := range []struct {
		cmd, reply byte
		want       bool
	}{
		{'M', 'a', true}, {'M', 'c', false}, {'M', 'y', true}, {'M', 't', true}, {'M', 'd', true},
		{'R', 'a', true}, {'R', 'c', false}, {'R', 'y', false}, {'R', 'r', false}, {'R', 't', false},
		{'N', 'y', true}, {'E', 'c', true}, {'E', 'a', true}, {'E', 'y', true},
		{'E', 'h', false}, {'E', 'q', false}, {'E', 'p', false}, {'B', 's', false},
	} {
		if got := endsMessage(milter.Code(test.cmd), milter.ActionCode(test.reply)); got != test.want {
			t.Errorf("%c to %c: %v", test.reply, test.cmd, got)
		}
	}
}

// Whatever comes, go-milter is given whole packets of known commands within
// the limit, or the end.
func FuzzFrames(f *testing.F) {
	f.Add(join(optNeg(), frame('M', "<a@b>\x00"), frame('E', "")), 3)
	f.Add(join(optNeg(), frame('L', "X-Ours\x00v\x00"), frame('L', "Y\x00v\x00")), 9000)
	f.Add([]byte("GET / HTTP/1.1\r\n"), 1)
	f.Fuzz(func(t *testing.T, all []byte, cut int) {
		cut = cut&0x3FFF + 1
		var in [][]byte
		for rest := all; len(rest) > 0; rest = rest[min(cut, len(rest)):] {
			in = append(in, rest[:min(cut, len(rest))])
		}
		c, _, log := onTape(t, in...)
		for {
			got, err := readFrame(c)
			if err != nil {
				break
			}
			n := len(got) - lengthSize
			if n < 1 || n > 64<<10 || strings.IndexByte(known, got[4]) < 0 || got[4] == 'K' {
				t.Fatalf("go-milter is given %q", got[:min(20, len(got))])
			}
			if got[4] == 'D' && len(got) > 5 && got[5] == 'L' {
				t.Fatal("macros of a header")
			}
			if got[4] == 'L' && !ours(bytes.SplitN(got[5:], []byte{0}, 2)[0]) {
				t.Fatalf("header %q", got[:min(20, len(got))])
			}
		}
		c.Close()
		if len(log.all()) > 1 {
			t.Fatalf("logged %q", log.all())
		}
	})
}
