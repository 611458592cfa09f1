package mtatest_test

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/emersion/go-milter"
	"github.com/google/go-cmp/cmp"

	"tlsratchet/milter/wire"
	"tlsratchet/test/mtatest"
)

// marker refuses one recipient and marks what arrives over no TLS, by a
// go-milter that knows nothing of this client.
type marker struct{ milter.NoOpMilter }

func (marker) MailFrom(_ string, m *milter.Modifier) (milter.Response, error) {
	if m.Macros["{tls_version}"] != "" {
		return milter.RespAccept, nil
	}
	return milter.RespContinue, nil
}

func (marker) RcptTo(to string, _ *milter.Modifier) (milter.Response, error) {
	if to == "no@here.example" {
		return milter.NewResponseStr('y', "451 4.7.1 100%% no"), nil
	}
	return milter.RespContinue, nil
}

func (marker) Header(string, string, *milter.Modifier) (milter.Response, error) { return nil, nil }

func (marker) Body(m *milter.Modifier) (milter.Response, error) {
	m.ChangeHeader(1, "X-Mark", "")
	m.AddHeader("X-Mark", "clear")
	m.Quarantine("no TLS")
	return milter.RespAccept, nil
}

func serve(t testing.TB) (addr string) {
	t.Helper()
	server := wire.New(wire.Config{
		Backend:  func() milter.Milter { return marker{} },
		Actions:  milter.OptAddHeader | milter.OptChangeHeader | milter.OptQuarantine | milter.OptSetSymList,
		Protocol: milter.OptNoConnect | milter.OptNoHelo | milter.OptNoData | milter.OptNoBody | milter.OptNoHeaderReply,
		SymList:  map[milter.Stage][]string{milter.StageMailFrom: {"{tls_version}", "{client_addr}"}},
		Limits:   wire.DefaultLimits(),
		Log:      slog.New(slog.NewTextHandler(io.Discard, nil)),

		KeepHeader: func([]byte) bool { return false },
	})
	addr = filepath.Join(t.TempDir(), "m")
	lns, err := wire.Listen(wire.Spec{Network: wire.NetworkUnix, Address: addr}, wire.ListenOptions{Mode: 0o666, Group: -1})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(lns...) }()
	t.Cleanup(func() {
		server.Shutdown(context.Background())
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return addr
}

func dial(t testing.TB, addr string, opts mtatest.Options) *mtatest.Session {
	t.Helper()
	s, err := mtatest.Dial(context.Background(), "unix", addr, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func message(tls string) mtatest.Message {
	m := mtatest.Message{
		Macros:  map[string]string{"{client_addr}": "192.0.2.1"},
		From:    "ann@sender.example",
		Rcpts:   []string{"no@here.example", "bob@here.example"},
		Headers: [][2]string{{"X-Mark", "forged"}, {"Subject", "hi"}},
		Body:    []byte("hello\r\n"),
	}
	if tls != "" {
		m.Macros["{tls_version}"] = tls
	}
	return m
}

// Several messages of one session, against the server that production uses.
func TestAgainstGoMilter(t *testing.T) {
	s := dial(t, serve(t), mtatest.Options{})
	if s.Actions() != 0x131 || s.Protocol()&0x81 != 0x81 {
		t.Errorf("actions %#x, protocol %#x", s.Actions(), s.Protocol())
	}
	if diff := cmp.Diff([]string{"{tls_version}", "{client_addr}"}, s.Symbols(mtatest.StageMail)); diff != "" {
		t.Error(diff)
	}
	for range 3 {
		over, err := s.Message(message("TLSv1.3"))
		if err != nil || over.End.String() != "accept" || over.Trips != 1 || len(over.Rcpts) != 0 {
			t.Errorf("over TLS: %+v %v", over, err)
		}
		m := message("")
		clear, err := s.Message(m)
		if err != nil {
			t.Fatal(err)
		}
		if clear.Rcpts[0].String() != "y451 4.7.1 100% no" || clear.Rcpts[1].String() != "continue" || clear.End.Event != 'E' {
			t.Errorf("in clear: %+v", clear)
		}
		want := [][2]string{{"Subject", "hi"}, {"X-Mark", "clear"}}
		if diff := cmp.Diff(want, clear.Headers(m.Headers)); diff != "" {
			t.Error(diff)
		}
		if !clear.Quarantined || clear.Quarantine != "no TLS" {
			t.Errorf("quarantine %v %q", clear.Quarantined, clear.Quarantine)
		}
	}
}

// An MTA that ignores what was asked for sends no TLS macro at MAIL.
func TestIgnoredSymList(t *testing.T) {
	s := dial(t, serve(t), mtatest.Options{IgnoreSymList: true})
	r, err := s.Message(message("TLSv1.3"))
	if err != nil || r.Reply('M').String() != "continue" {
		t.Errorf("%+v %v", r, err)
	}
}

// The client must cost little beside the milter that it measures.
func BenchmarkRun(b *testing.B) {
	s := dial(b, serve(b), mtatest.Options{})
	m := message("TLSv1.3")
	var r mtatest.Result
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Run(&m, &r); err != nil {
			b.Fatal(err)
		}
	}
}

// A result is filled anew each time.
func TestRunTwice(t *testing.T) {
	client := dial(t, serve(t), mtatest.Options{})
	m := message("TLSv1.3")
	var r mtatest.Result
	clear := message("")
	if err := client.Run(&clear, &r); err != nil || len(r.Edits) != 2 || !r.Quarantined {
		t.Fatalf("%+v %v", r, err)
	}
	if err := client.Run(&m, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Replies) != 1 || len(r.Rcpts)+len(r.Edits) != 0 || r.Quarantined || r.Trips != 1 || r.Received != 5 {
		t.Errorf("%+v", r)
	}
}
