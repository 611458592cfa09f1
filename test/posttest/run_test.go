package posttest

import (
	"context"
	"os"
	"testing"
	"time"
)

// TestRunEnds: a command that is ended may leave a child with its output, such as a
// postlog(1) that waits for a postlogd(8) that hangs.
func TestRunEnds(t *testing.T) {
	in := &Instance{dir: t.TempDir()}
	const script = "#!/bin/sh\ncd ${0%/*}\nmkfifo end\n(touch begun; read -r _ <end) &\nwait\n"
	if err := os.WriteFile(in.path("etc"), []byte(script), 0o700); err != nil { // sh -c runs it
		t.Fatal(err)
	}
	patient, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, end := context.WithCancel(patient)
	ended := make(chan error, 1)
	go func() {
		_, err := in.run(ctx, "sh")
		ended <- err
	}()
	begun := func() (bool, error) { _, err := os.Stat(in.path("begun")); return err == nil, nil }
	if err := poll(patient, begun); err != nil {
		t.Fatal(err)
	}
	end()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("no error")
		}
	case <-patient.Done():
		t.Error("it waits for the child")
	}
	if err := os.WriteFile(in.path("end"), nil, 0); err != nil { // to the child
		t.Error(err)
	}
}
