package posttest_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tlsratchet/test/posttest"
)

// orphan is set in the environment of a test binary that plays a program which
// starts an instance and is killed.
const orphan = "POSTTEST_ORPHAN"

func TestMain(m *testing.M) {
	if os.Getenv(orphan) != "" {
		playOrphan()
		return
	}
	goleak.VerifyTestMain(m)
}

// install installs Postfix once, if it is missing.
var install = sync.OnceValue(func() error {
	var out bytes.Buffer
	if err := posttest.Install(&out); err != nil {
		return fmt.Errorf("%w\n%s", err, &out)
	}
	return nil
})

// start returns a running instance that ends with the test.
func start(t *testing.T, opts posttest.Options) *posttest.Instance {
	t.Helper()
	in := create(t, opts)
	if err := in.Start(deadline(t)); err != nil {
		t.Fatal(err)
	}
	return in
}

func create(t *testing.T, opts posttest.Options) *posttest.Instance {
	t.Helper()
	if err := install(); err != nil {
		t.Fatal(err)
	}
	in, err := posttest.New("", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	return in
}

// deadline is how long a test may wait for Postfix; nothing is measured by it.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// connect begins a session that ends with the test.
func connect(t *testing.T, p posttest.Peer) *posttest.Client {
	t.Helper()
	c, err := p.Connect(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// send sends a message to us with that subject, which must be taken.
func send(t *testing.T, c *posttest.Client, subject string, header ...string) {
	t.Helper()
	exchanges, err := c.Send(posttest.Mail{
		From:   "alice@peer.example",
		To:     []string{"bob@ours.example"},
		Header: append(header, "Subject: "+subject),
		Body:   "Hello.\n",
	})
	if err != nil || !exchanges[len(exchanges)-1].Reply.OK() {
		t.Fatalf("%v: %v", exchanges, err)
	}
}

func receive(t *testing.T, in *posttest.Instance, subject string) posttest.Message {
	t.Helper()
	m, err := in.WaitMail(deadline(t), posttest.Subject(subject))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// waitFor waits until it is so.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	ctx := deadline(t)
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
