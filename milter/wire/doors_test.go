package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-milter"
)

// server is what a [Desk] and a [Server] are for a listener.
type server interface {
	Serve(...net.Listener) error
	Shutdown(context.Context) error
}

// door is one of them and how its clients talk: what both promise is tried at each.
type door struct {
	server
	name  string // as logged
	stats func() DeskStats
	log   *lines
	// greet is what a client sends first, begin what makes it busy, and end its last.
	greet, begin, end request
}

// request is what is sent, and the answer to it.
type request struct{ send, want []byte }

func (r request) ask(t testing.TB, c net.Conn) {
	t.Helper()
	if _, err := c.Write(r.send); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(r.want))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, r.want) {
		t.Fatalf("answer %q, %v; want %q", got, err, r.want)
	}
}

// opener makes a door that takes so many connections.
type opener func(t testing.TB, connections int) *door

func deskDoor(serve func(*Asker) error) opener {
	return func(_ testing.TB, connections int) *door {
		limits, log := deskLimits, &lines{}
		limits.Connections = connections
		d := NewDesk("test", limits, 64, serve, log.logger())
		line := func(text string) request { return request{[]byte(text), []byte(text)} }
		return &door{server: d, name: "test", stats: d.Stats, log: log, greet: line("hello\n"), begin: line("begin\n"), end: line("end\n")}
	}
}

func milterDoor(f filter) opener {
	return func(t testing.TB, connections int) *door {
		log := &lines{}
		config := newConfig(f, log)
		config.Limits.Connections = connections
		s := New(config)
		return &door{
			server: s, name: "milter", stats: func() DeskStats { return s.Stats().DeskStats }, log: log,
			greet: request{optNeg(), s.negotiation}, begin: request{frame('M', "<a@b>\x00"), frame('c', "")}, end: request{frame('E', ""), frame('a', "")},
		}
	}
}

// atEachDoor tries something at all of them.
func atEachDoor(t *testing.T, try func(t *testing.T, open opener)) {
	for name, open := range map[string]opener{"desk": deskDoor(echo), "milter": milterDoor(goOn())} {
		t.Run(name, func(t *testing.T) { try(t, open) })
	}
}

// runServer runs a server on a unix socket until the end of the test.
func runServer(t testing.TB, s server) (addr string) {
	t.Helper()
	spec := Spec{Network: NetworkUnix, Address: filepath.Join(t.TempDir(), "m")}
	lns, err := Listen(spec, ListenOptions{Mode: 0o666, Group: -1})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(lns...) }()
	t.Cleanup(func() {
		stop(s)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return spec.Address
}

// stop ends a server, and cuts what doesn't come to its end within a second.
func stop(s server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.Shutdown(ctx)
}

func dialUnix(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// inBubble runs a door on connections of memory and a clock of its own.
func inBubble(t *testing.T, open opener, play func(d *door, ln *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		d, ln := open(t, 100), newPipes()
		served := make(chan error, 1)
		go func() { served <- d.Serve(ln) }()
		play(d, ln)
		stop(d)
		began := time.Now()
		if err := <-served; err != nil || time.Since(began) != 0 {
			t.Errorf("Serve ended %v after Shutdown: %v", time.Since(began), err)
		}
	})
}

// closes checks how long a client may wait that sends this and no more, and that
// its end is logged.
func (d *door) closes(t *testing.T, ln *pipes, say func(*testing.T, net.Conn), least, most time.Duration) {
	t.Helper()
	c := ln.dial()
	say(t, c)
	if got := closedAfter(c); got < least || got > most {
		t.Errorf("closed after %v, want %v to %v", got, least, most)
	}
	synctest.Wait()
	if logged := d.log.all(); d.stats().Timeouts != 1 || len(logged) != 1 || !strings.Contains(logged[0], "level=WARN") || !strings.Contains(logged[0], "timeout") {
		t.Errorf("%+v %q", d.stats(), logged)
	}
}

// drain begins a shutdown, which must close the idle at once. What it returns waits
// for its end.
func (d *door) drain(t *testing.T, idle ...net.Conn) (drained func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := d.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	for _, c := range idle {
		if took := closedAfter(c); took != 0 {
			t.Errorf("the idle waited %v", took)
		}
	}
	return wg.Wait
}

// A client that doesn't read its answers holds nobody for long.
func TestWriteDeadline(t *testing.T) {
	atEachDoor(t, func(t *testing.T, open opener) {
		inBubble(t, open, func(d *door, ln *pipes) {
			c := ln.dial()
			d.greet.ask(t, c)
			c.Write(d.begin.send)
			time.Sleep(12 * time.Second)
			synctest.Wait()
			if st := d.stats(); st.Open != 1 {
				t.Errorf("closed early: %+v", st)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if st := d.stats(); st.Timeouts != 1 || st.Open != 0 {
				t.Errorf("%+v", st)
			}
			c.Close()
		})
	})
}

// A handler, or a callback, that hangs is left behind, with its connection closed.
func TestShutdownLeavesHung(t *testing.T) {
	entered, free := make(chan struct{}), make(chan struct{})
	hang := func() {
		entered <- struct{}{}
		<-free
	}
	for name, open := range map[string]opener{
		"desk":   deskDoor(func(*Asker) error { hang(); return nil }),
		"milter": milterDoor(filter{mail: func(string, *milter.Modifier) milter.Response { hang(); return milter.RespAccept }}),
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, 1)
			c := dialUnix(t, runServer(t, d))
			c.Write(append(d.greet.send, d.begin.send...))
			<-entered
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := d.Shutdown(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Shutdown: %v", err)
			}
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection is still open")
			}
			free <- struct{}{}
			until(t, "the end of the session", func() bool { return d.stats().Open == 0 })
		})
	}
}

// Over the limit the answer is an end, at once, and one line reports all.
func TestConnectionLimit(t *testing.T) {
	atEachDoor(t, func(t *testing.T, open opener) {
		d := open(t, 8)
		addr := runServer(t, d)
		served := func(c net.Conn) {
			d.begin.ask(t, c)
			d.end.ask(t, c)
			c.Close()
		}
		var held []net.Conn
		for range 8 {
			held = append(held, dialUnix(t, addr))
			d.greet.ask(t, held[len(held)-1])
		}
		for range 1000 {
			c := dialUnix(t, addr)
			if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("read %d, %v", n, err)
			}
			c.Close()
		}
		for _, c := range held {
			served(c)
		}
		until(t, "room", func() bool { return d.stats().Open == 0 })
		last := dialUnix(t, addr)
		d.greet.ask(t, last)
		served(last)
		if st := d.stats(); st.OverLimit != 1000 || st.Accepted != 9 {
			t.Errorf("stats %+v", st)
		}
		if logged := d.log.all(); len(logged) != 1 || !strings.Contains(logged[0], "too many are open") || !strings.Contains(logged[0], "limit=8") {
			t.Errorf("logged %q", logged)
		}
	})
}

// What is under way when Shutdown's time is over has a little more for its answer.
func TestShutdownGrace(t *testing.T) {
	for late, want := range map[time.Duration]string{199 * time.Millisecond: "late", 201 * time.Millisecond: ""} {
		open := deskDoor(func(a *Asker) error {
			if _, err := a.Await(); err != nil {
				return err
			}
			time.Sleep(time.Second + late)
			a.Out = append(a.Out, "late"...)
			return nil
		})
		inBubble(t, open, func(d *door, ln *pipes) {
			c := ln.dial()
			c.Write([]byte("?"))
			synctest.Wait()
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			go d.Shutdown(ctx)
			if got, err := io.ReadAll(c); string(got) != want || err != nil {
				t.Errorf("after %v: %q, %v", late, got, err)
			}
			time.Sleep(time.Second) // the handler ends
		})
	}
}

func TestAcceptRecovers(t *testing.T) {
	atEachDoor(t, func(t *testing.T, open opener) {
		inBubble(t, open, func(d *door, ln *pipes) {
			for range 10 {
				ln.in <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
			}
			ln.in <- os.NewSyscallError("accept4", syscall.ECONNABORTED)
			began := time.Now()
			c := ln.dial()
			d.greet.ask(t, c)
			c.Close()
			// 5, 10 … 640 ms, then a second each.
			if waited := time.Since(began); waited != 1275*time.Millisecond+3*time.Second {
				t.Errorf("waited %v", waited)
			}
			if logged := d.log.all(); d.stats().AcceptErrors != 11 || len(logged) != 1 || !strings.Contains(logged[0], "too many open files") {
				t.Errorf("%+v %q", d.stats(), logged)
			}
		})
	})
}

// Shutdown doesn't wait for the end of a back-off.
func TestShutdownDuringBackOff(t *testing.T) {
	atEachDoor(t, func(t *testing.T, open opener) {
		inBubble(t, open, func(d *door, ln *pipes) {
			for range 20 {
				ln.in <- syscall.ENFILE
			}
			time.Sleep(1500 * time.Millisecond)
			began := time.Now()
			if err := d.Shutdown(context.Background()); err != nil || time.Since(began) != 0 {
				t.Errorf("took %v: %v", time.Since(began), err)
			}
		})
	})
}

// A listener that is broken for good ends Serve with an error that names it, and
// the other with it; its connections can still be drained.
func TestListenerFails(t *testing.T) {
	atEachDoor(t, func(t *testing.T, open opener) {
		for _, badFirst := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) { listenerFails(t, open(t, 100), badFirst) })
		}
	})
}

func listenerFails(t *testing.T, d *door, badFirst bool) {
	bad, good := newPipes(), newPipes()
	all := []net.Listener{good, bad}
	if badFirst {
		all = []net.Listener{bad, good}
	}
	served := make(chan error)
	go func() { served <- d.Serve(all...) }()
	c := good.dial()
	d.greet.ask(t, c)
	d.begin.ask(t, c)
	bad.in <- syscall.EINVAL
	if err := <-served; !errors.Is(err, syscall.EINVAL) || !strings.HasPrefix(err.Error(), "accept on /test: ") {
		t.Errorf("Serve: %v", err)
	}
	d.end.ask(t, c)
	if err := d.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	c.Close()
	servesNoMore(t, d.Serve)
}

// servesNoMore: after Shutdown Serve returns at once, and closes its listeners.
func servesNoMore(t *testing.T, serve func(...net.Listener) error) {
	t.Helper()
	ln := newPipes()
	if err := serve(ln); err != nil {
		t.Errorf("Serve after Shutdown: %v", err)
	}
	if _, err := ln.Accept(); err == nil {
		t.Error("Serve after Shutdown left the listener open")
	}
}

// What doesn't come to its end is cut when the time is over, and the error
// reports it.
func TestShutdownCuts(t *testing.T) {
	atEachDoor(t, func(t *testing.T, open opener) {
		for _, withHalf := range []bool{false, true} {
			inBubble(t, open, func(d *door, ln *pipes) {
				busy, half, cut := ln.dial(), ln.dial(), "1"
				d.greet.ask(t, busy)
				d.begin.ask(t, busy)
				if withHalf {
					io.WriteString(half, "hel")
					cut = "2"
				}
				synctest.Wait()
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				began := time.Now()
				err := d.Shutdown(ctx)
				if want := cut + " " + d.name + " connections cut"; !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("Shutdown: %v, want %s", err, want)
				}
				if took := time.Since(began); took != 5*time.Second {
					t.Errorf("took %v", took)
				}
				if logged := d.log.all(); len(logged) != 0 {
					t.Errorf("logged %q", logged)
				}
				busy.Close()
				half.Close()
			})
		}
	})
}
