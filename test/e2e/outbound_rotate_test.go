package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestOutboundLogrotate: "postfix logrotate" under load. No delivery is missed or
// counted twice, against the receiver's count.
func TestOutboundLogrotate(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}})
	d := serve(t, s.in.MilterSocket(), "", s.config(""))
	aSecondLater()
	const messages = 90
	var load sync.WaitGroup
	load.Go(func() {
		for n := range messages {
			if err := give(s.in, fmt.Sprintf("n%d@bank.test", n)); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	for range 2 {
		time.Sleep(600 * time.Millisecond)
		eventually(t, "Postfix has a log to rotate", func() bool {
			info, err := os.Stat(s.in.Maillog())
			return err == nil && info.Size() > 0
		})
		if err := s.in.Logrotate(limit(t)); err != nil {
			t.Error(err)
		}
	}
	load.Wait()
	sink := s.sinks["mx.bank.test"]
	eventually(t, "all mail arrives", func() bool { return len(sink.Received()) == messages })
	var out []byte
	if !within(2*time.Minute, func() bool {
		cmd := exec.Command(binary, "report", "--outbound")
		cmd.Env = append(os.Environ(), "TLSRATCHET_HISTORY="+d.history)
		out, _ = cmd.CombinedOutput()
		return strings.Contains(string(out), fmt.Sprintf("%d recipients on 1 days, 100.0 %% encrypted", messages))
	}) {
		t.Errorf("the receiver has %d:\n%s", messages, out)
	}
}
