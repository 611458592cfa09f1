package e2e

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

const hold = "action = \"hold\""

// TestOutboundHoldAndRestore: a pinned destination that is stripped gets nothing
// in clear, and everything once STARTTLS is back. Strangers get their mail.
func TestOutboundHoldAndRestore(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}, "new.test": {"mx.new.test"}}, "smtp_tls_connection_reuse = yes")
	d := serve(t, s.in.MilterSocket(), taught(t, tlsstate.TLS12, 30, "destination:bank.test"), s.config(hold))
	bank, stranger := s.sinks["mx.bank.test"], s.sinks["mx.new.test"]
	bank.Set(posttest.Behaviour{NoOffer: true})
	stranger.Set(posttest.Behaviour{NoOffer: true})
	for n := range 5 {
		s.send(fmt.Sprintf("n%d@bank.test", n), fmt.Sprintf("n%d@new.test", n))
	}
	s.arrives("n4@new.test")
	for n := range 5 {
		s.line(fmt.Sprintf(`to=<n%d@bank\.test>.* dsn=4\.7\.4, status=deferred`, n))
		d.wait("destination=bank.test")
	}
	if !within(func() bool { return strings.Count(d.text(), "msg=\"mail held\"") >= 5 }) {
		t.Error("not each held delivery has its line")
	}
	if got := bank.Received(); len(got) != 0 {
		t.Fatalf("in clear: %+v", got)
	}
	bank.Set(posttest.Behaviour{})
	if err := s.in.Flush(limit(t)); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		if v, _ := s.arrives(fmt.Sprintf("n%d@bank.test", n)); v != tls.VersionTLS13 {
			t.Errorf("message %d: version %x", n, v)
		}
	}
	if !within(func() bool { return len(bank.Received()) == 5 }) {
		t.Errorf("%d arrived", len(bank.Received()))
	}
}

// aSecondLater waits until a delivery that begins now certainly began after the
// log did, whose times are whole seconds: others teach nothing of plaintext.
func aSecondLater() { time.Sleep(2200 * time.Millisecond) }

// TestOutboundObserveChangesNothing: by default mail is sent in clear, and the
// log says what "hold" would have done.
func TestOutboundObserveChangesNothing(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}})
	d := serve(t, s.in.MilterSocket(), taught(t, tlsstate.TLS12, 30, "destination:bank.test"), s.config(""))
	s.sinks["mx.bank.test"].Set(posttest.Behaviour{NoOffer: true})
	aSecondLater()
	s.send("ann@bank.test")
	if v, _ := s.arrives("ann@bank.test"); v != 0 {
		t.Errorf("version %x", v)
	}
	line := d.wait("msg=\"mail sent in clear\"")
	for _, want := range []string{"destination=bank.test", "action=observe", "hold_would_defer=true", "pin=TLSv1.2", "days=30", "below=1"} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	if h := d.remembered("destination:bank.test"); h.Seen[tlsstate.Plaintext]&1 == 0 {
		t.Errorf("the day in clear was not learned: %+v", h)
	}
}

// TestOutboundOneHostOfTwo: with one host stripped mail goes by way of the other,
// and the day counts for the destination.
func TestOutboundOneHostOfTwo(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx1.bank.test", "mx2.bank.test"}})
	d := serve(t, s.in.MilterSocket(), taught(t, tlsstate.TLS12, 30, "destination:bank.test"), s.config(hold))
	s.sinks["mx1.bank.test"].Set(posttest.Behaviour{NoOffer: true})
	s.send("ann@bank.test")
	if v, host := s.arrives("ann@bank.test"); v != tls.VersionTLS13 || host != "mx2.bank.test" {
		t.Errorf("version %x at %s", v, host)
	}
	s.line(`removed$`)
	eventually(t, "the first host is known for it", func() bool { return strings.Contains(s.line("TLS is required"), "mx1") })
	h := d.remembered("destination:bank.test")
	if today := tlsstate.DayOf(time.Now()); h.Last != today || h.Seen[tlsstate.Plaintext] != 0 || h.Seen[tlsstate.TLS13]&1 == 0 {
		t.Errorf("the destination: %+v", h)
	}
	if h := recall(t, d.history, "mx:mx1.bank.test"); h.Seen[tlsstate.Plaintext]&1 == 0 {
		t.Errorf("the first host: %+v", h)
	}
	if h := recall(t, d.history, "mx:mx2.bank.test"); h.Seen[tlsstate.TLS13]&1 == 0 {
		t.Errorf("the second host: %+v", h)
	}
}

// TestOutboundOtherHostIsDown: mail that waits because one host is stripped and the
// other is down is held, and counts for the release.
func TestOutboundOtherHostIsDown(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx1.bank.test", "mx2.bank.test"}})
	d := serve(t, s.in.MilterSocket(), taught(t, tlsstate.TLS12, 30, "destination:bank.test"), s.config(hold))
	s.sinks["mx1.bank.test"].Set(posttest.Behaviour{NoOffer: true})
	s.sinks["mx2.bank.test"].Close()
	s.send("ann@bank.test")
	s.line(`to=<ann@bank\.test>.* status=deferred \(connect to mx2`)
	if line := d.wait("msg=\"mail held\""); !strings.Contains(line, "release=") {
		t.Error(line)
	}
}

// TestOutboundOwnTable: of a destination for which a table before ours has the answer
// Postfix asks us nothing: how it is reached is not learned of the one that the same
// process sent to before.
func TestOutboundOwnTable(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}, "old.test": {"mx.old.test"}, "new.test": {"mx.new.test"}},
		"smtp_tls_policy_maps = inline:{old.test=may}, memcache:${config_directory}/tlsratchet-policy.cf")
	d := serve(t, s.in.MilterSocket(), taught(t, tlsstate.TLS12, 30, "destination:bank.test"), s.config(""))
	s.sinks["mx.old.test"].Set(posttest.Behaviour{NoOffer: true})
	aSecondLater()
	for n := range 5 {
		for _, to := range []string{fmt.Sprintf("n%d@bank.test", n), fmt.Sprintf("n%d@old.test", n)} {
			s.send(to)
			s.arrives(to)
		}
	}
	s.line(`to=<n4@old\.test>.* status=sent`)
	s.send("ann@new.test") // when this was learned, that before was read
	s.line(`to=<ann@new\.test>.* status=sent`)
	d.remembered("destination:new.test")
	if h := recall(t, d.history, "destination:bank.test"); h.Seen[tlsstate.Plaintext] != 0 {
		t.Errorf("bank.test was seen in clear: %+v", h)
	}
	if strings.Contains(d.text(), "msg=\"mail sent in clear\"") {
		t.Error(d.text())
	}
}

// TestOutboundReleaseOnTheThirdDay: mail that waited is delivered, loudly, and
// nothing is lost. Two days are simulated in the memory.
func TestOutboundReleaseOnTheThirdDay(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}})
	history := taught(t, tlsstate.TLS12, 30, "destination:bank.test")
	d := serve(t, s.in.MilterSocket(), history, s.config(hold))
	s.sinks["mx.bank.test"].Set(posttest.Behaviour{NoOffer: true})
	for n := range 3 {
		s.send(fmt.Sprintf("n%d@bank.test", n))
		s.line(fmt.Sprintf(`to=<n%d@bank\.test>.* dsn=4\.7\.4`, n))
	}
	d.wait("msg=\"mail held\"")
	d.stop(syscall.SIGTERM)
	heldBefore(t, history, "destination:bank.test")
	aSecondLater()

	d = serve(t, s.in.MilterSocket(), history, s.config(hold))
	if err := s.in.Flush(limit(t)); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if v, _ := s.arrives(fmt.Sprintf("n%d@bank.test", n)); v != 0 {
			t.Errorf("version %x", v)
		}
	}
	if line := d.wait("pin released"); !strings.Contains(line, "destination=bank.test") {
		t.Error(line)
	}
	eventually(t, "the queue is empty", func() bool { q, err := s.in.Queue(limit(t)); return err == nil && len(q) == 0 })
}

// heldBefore simulates that a destination was last met three days ago, and held
// on the two days since.
func heldBefore(t *testing.T, file, id string) {
	t.Helper()
	memory := openMemory(t, file)
	defer memory.Close()
	identity, err := tlsstate.ParseIdentity(id)
	if err != nil {
		t.Fatal(err)
	}
	today, rule := tlsstate.DayOf(time.Now()), tlsstate.DefaultPolicy()
	if _, err := memory.Update(identity, netip.Addr{}, today, func(old tlsstate.History) tlsstate.History {
		h := tlsstate.History{Epoch: old.Epoch + 1}
		for ago := 30; ago >= 0; ago-- {
			o := tlsstate.Observation{Day: today - tlsstate.Day(ago), Security: tlsstate.Security{Level: tlsstate.TLS12}}
			if ago < 3 {
				o.Level = tlsstate.Plaintext
			}
			_, h = tlsstate.Judge(h, o, &rule)
		}
		return h
	}); err != nil {
		t.Fatal(err)
	}
}

// TestOutboundKillKeepsPins: no pin is lost that was written, and a daemon
// that comes back holds at once, for processes of smtp(8) that were there before.
func TestOutboundKillKeepsPins(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}, "young.test": {"mx.young.test"}})
	history := taught(t, tlsstate.TLS12, 4, "destination:young.test", "destination:bank.test") // a day short of a pin
	d := serve(t, s.in.MilterSocket(), history, s.config(hold))
	for n := range 10 {
		s.send(fmt.Sprintf("n%d@bank.test", n), fmt.Sprintf("n%d@young.test", n))
		s.arrives(fmt.Sprintf("n%d@young.test", n))
		s.arrives(fmt.Sprintf("n%d@bank.test", n))
		if n == 0 {
			d.wait("destination=young.test")
			d.wait("destination=bank.test")
			d.pinIsWritten("destination:young.test")
			d.pinIsWritten("destination:bank.test")
		}
		d.stop(syscall.SIGKILL)
		for _, id := range []string{"destination:bank.test", "destination:young.test"} {
			if h := recall(t, history, id); h.Pins[tlsstate.TLS12-1].Formed == 0 {
				t.Fatalf("kill %d: the pin of %s is lost: %+v", n, id, h)
			}
		}
		d = serve(t, s.in.MilterSocket(), history, s.config(hold))
	}
	s.sinks["mx.bank.test"].Set(posttest.Behaviour{NoOffer: true})
	s.send("last@bank.test")
	s.line(`to=<last@bank\.test>.* dsn=4\.7\.4`)
}

// TestOutboundCommands: an operator sees what waits and why, and lets it go.
func TestOutboundCommands(t *testing.T) {
	s := newOutbox(t, map[string][]string{"bank.test": {"mx.bank.test"}, "plain.test": {"mx.plain.test"}})
	d := serve(t, s.in.MilterSocket(), taught(t, tlsstate.TLS12, 30, "destination:bank.test"), s.config(hold))
	s.sinks["mx.bank.test"].Set(posttest.Behaviour{NoOffer: true})
	s.sinks["mx.plain.test"].Set(posttest.Behaviour{NoOffer: true})
	aSecondLater()
	s.send("ann@bank.test", "bob@plain.test")
	s.arrives("bob@plain.test")
	d.wait("msg=\"mail held\"")
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(binary, args...)
		cmd.Env = append(os.Environ(), "TLSRATCHET_HISTORY="+d.history)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	has := func(text string, all ...string) {
		t.Helper()
		for _, want := range all {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in:\n%s", want, text)
			}
		}
	}
	eventually(t, "the mail in clear is counted", func() bool { return strings.Contains(run("report", "--outbound"), "plain.test") })
	has(run("report", "--outbound"), "1 recipients on 1 days, 0.0 % encrypted")
	has(run("outbound"), "Action: hold", "bank.test", "TLSv1.2", "STARTTLS was not offered by mx.bank.test", "tlsratchet peer unpin --why 'REASON' destination:bank.test && postqueue -f")
	has(run("explain", "--to", "bank.test"), "pinned at TLSv1.2", "The action is hold.", `The answer to Postfix is "encrypt"`)
	has(run("explain", "--to", "plain.test"), "It has no pin.", "nothing is known")
	has(run("peers", "--kind", "destination"), "bank.test", "plain.test")
	run("peer", "unpin", "--why", "it gave TLS up", "destination:bank.test")
	if err := s.in.Flush(limit(t)); err != nil {
		t.Fatal(err)
	}
	if v, _ := s.arrives("ann@bank.test"); v != 0 {
		t.Errorf("version %x", v)
	}
	has(run("explain", "--to", "bank.test"), "It has no pin.")
	eventually(t, "nothing waits", func() bool { return strings.Contains(run("outbound"), "No destination fails.") })
}
