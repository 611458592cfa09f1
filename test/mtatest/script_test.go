package mtatest

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answers plays a milter that answers each packet by what is scripted for its
// command, and records what it was sent.
type answers struct {
	protocol uint32
	lists    string // SETSYMLIST, on the wire
	script   map[byte]string
	got      chan string // each packet: command and data
}

func packet(code byte, data string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(data)))
	return string(append(b, code)) + data
}

func (a *answers) serve(c net.Conn) {
	defer c.Close()
	defer close(a.got)
	for {
		var head [4]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		data := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(c, data); err != nil {
			return
		}
		a.got <- string(data)
		reply := a.script[data[0]]
		if data[0] == 'O' && reply == "" {
			b := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 2, 0, 0, 0, 0}, a.protocol)
			reply = packet('O', string(b)+a.lists)
		}
		io.WriteString(c, reply)
	}
}

// dial connects to a milter of scripted answers.
func (a *answers) dial(t *testing.T, opts Options) (*Session, error) {
	t.Helper()
	a.got = make(chan string, 1000)
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "m"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		if c, err := ln.Accept(); err == nil {
			a.serve(c)
		}
	}()
	return Dial(context.Background(), "unix", ln.Addr().String(), opts)
}

// packets is all that the milter was sent, once the session is closed.
func (a *answers) packets() []string {
	var all []string
	for p := range a.got {
		all = append(all, p)
	}
	return all
}

func TestNegotiationRefused(t *testing.T) {
	for name, reply := range map[string]string{
		"not an answer":    packet('a', ""),
		"short":            packet('O', "\x00\x00\x00\x02"),
		"newer":            packet('O', "\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00"),
		"unknown actions":  packet('O', "\x00\x00\x00\x02\x00\x00\xf0\x00\x00\x00\x00\x00"),
		"unknown events":   packet('O', "\x00\x00\x00\x02\x00\x00\x00\x00\xf0\x00\x00\x00"),
		"list cut":         packet('O', "\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
		"list without end": packet('O', "\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02i"),
		"unknown stage":    packet('O', "\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07i\x00"),
		"empty packet":     "\x00\x00\x00\x00",
		"huge packet":      "\x7f\x00\x00\x00O",
	} {
		a := &answers{script: map[byte]string{'O': reply}}
		if _, err := a.dial(t, Options{}); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
		a.packets()
	}
}

func TestMilterGoesAway(t *testing.T) {
	client, server := net.Pipe()
	s := NewSession(client, Options{})
	go func() {
		io.ReadFull(server, make([]byte, 5))
		server.Write([]byte{0, 0})
		server.Close()
	}()
	if err := s.Send('A', nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Recv(); err != io.ErrUnexpectedEOF {
		t.Errorf("half a reply: %v", err)
	}
	if err := s.Close(); err == nil {
		t.Error("QUIT was sent to nobody")
	}
	if _, err := Dial(context.Background(), "unix", "/nowhere", Options{}); err == nil {
		t.Error("connected to nobody")
	}
}
