package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// code runs a command whose exit code is known: code N COMMAND.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code n command...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got, failed := 0, new(exec.ExitError)
	if errors.As(err, &failed) {
		got = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("%v: exit code %d, want %s", args[1:], got, args[0])
	}
}

// as runs a command as nobody, who may be in a further group: as GROUP|- N
// COMMAND.
func as(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: as group|- n command...")
	}
	groups := "--clear-groups"
	if args[0] != "-" {
		groups = "--groups=" + args[0]
	}
	code(ts, false, append([]string{args[1], "setpriv", "--reuid=nobody", "--regid=nogroup", groups, "--inh-caps=-all"}, args[2:]...))
}

// open lets anybody into the folders of a script, as far as each file lets him.
func open(env *testscript.Env) error {
	binary, err := exec.LookPath("tlsratchet")
	if err != nil {
		return err
	}
	env.Setenv("TLSRATCHET", binary)
	for _, folder := range []string{filepath.Dir(env.WorkDir), env.WorkDir, filepath.Dir(filepath.Dir(binary)), filepath.Dir(binary)} {
		if err := os.Chmod(folder, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// falter is a daemon that goes away in the middle of its answer, which is what
// the file has; of an empty one, before it: falter SOCKET FILE.
func falter(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: falter socket file")
	}
	socket, body := ts.MkAbs(args[0]), ts.ReadFile(args[1])
	ts.Check(os.RemoveAll(socket))
	listener, err := net.Listen("unix", socket)
	ts.Check(err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if body != "" {
			fmt.Fprint(w, body)
			http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	})}
	go server.Serve(listener)
	ts.Defer(func() { server.Close() })
}

// hook takes what is posted, and makes a configuration that has it as a
// destination: hook FILE.
func hook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hook file")
	}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	ts.Defer(server.Close)
	text := fmt.Sprintf("[[destination]]\nkind = \"webhook\"\nurl = %q\n", server.URL)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// memory makes a history file that knows bank.example, pinned, and a host of
// it; plain.example, in clear; and so many more: memory FILE [N].
func memory(ts *testscript.TestScript, neg bool, args []string) {
	more := 0
	if len(args) == 2 {
		var err error
		more, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: memory file [n]")
	}
	ts.Check(makeMemory(ts.MkAbs(args[0]), more))
}

func makeMemory(file string, more int) error {
	s, err := store.Open(file, store.Options{SnapshotEvery: -1, ReadTimeout: time.Minute})
	if err != nil {
		return err
	}
	today := tlsstate.DayOf(time.Now())
	pinned, plain := seenFor(10, tlsstate.TLS13, today), seenFor(4, tlsstate.Plaintext, today)
	for identity, h := range map[string]tlsstate.History{
		"address:192.0.2.10": pinned, "domain:bank.example": pinned, "listener:25": pinned, "domain:plain.example": plain,
	} {
		id, perr := tlsstate.ParseIdentity(identity)
		_, merr := s.Update(id, netip.Addr{}, today, func(tlsstate.History) tlsstate.History { return h })
		err = errors.Join(err, perr, merr)
	}
	const stride = 7_368_787 // a prime: spreads the keys, as peers come
	for i := 0; i < more && err == nil; i++ {
		if _, err = s.Update(manyIdentity(i*stride%more), netip.Addr{}, today, func(tlsstate.History) tlsstate.History { return pinned }); err == nil && i%20_000 == 0 {
			err = s.Flush(context.Background())
		}
	}
	return errors.Join(err, s.Close())
}

func manyIdentity(i int) tlsstate.Identity {
	if i%2 == 0 {
		return tlsstate.Identity{Kind: tlsstate.Address, Name: fmt.Sprintf("%d.%d.%d.%d", 20+i>>24, i>>16&255, i>>8&255, i&255)}
	}
	return tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprintf("a-domain-name-%d.example", i)}
}

// seenFor is a history of a level on each of some days, yesterday the last.
func seenFor(days tlsstate.Day, level tlsstate.Level, today tlsstate.Day) (h tlsstate.History) {
	rule := tlsstate.DefaultPolicy()
	for ago := days; ago > 0; ago-- {
		_, h = tlsstate.Judge(h, tlsstate.Observation{Day: today - ago, Security: tlsstate.Security{Level: level}}, &rule)
	}
	return h
}
