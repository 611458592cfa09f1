package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"tlsratchet/test/posttest"
)

// TestAlerted: the daemon reports a stripped peer once, to a webhook, to a real
// Alertmanager, by mail and in the log; ten more messages and a restart tell
// nothing; the peer back on TLS closes it everywhere.
func TestAlerted(t *testing.T) {
	w := world{T: t, Instance: newPostfix(t, posttest.Options{})}
	am, hook := newAlertmanager(t), newReceiver(t)
	config := fmt.Sprintf(toldConfig, hook.url, am.url, w.Addr(0))
	d := serve(t, w.MilterSocket(), "", config)
	w.delivered(w.bank("192.0.2.10", w.tls13()), mail("in good order"))
	w.received(hook, am, "", d)

	w.has(w.delivered(w.bank("192.0.2.10", plain()), mail("stripped")), "kind=stripped")
	w.received(hook, am, "opened", d)
	if lines := d.downgrades(); len(lines) != 1 {
		t.Errorf("%d lines of downgrades:\n%s", len(lines), strings.Join(lines, "\n"))
	}

	more := w.connect(w.bank("192.0.2.10", plain()))
	for i := range 10 {
		w.say(more, mail(fmt.Sprint("stripped again ", i)))
	}
	w.header(mail("stripped again 9"))
	d.stop(syscall.SIGTERM) // delivers all there is
	again := serve(t, w.MilterSocket(), d.history, config)
	w.delivered(w.bank("192.0.2.10", plain()), mail("stripped after the restart"))
	again.stop(syscall.SIGTERM)
	w.received(hook, am, "opened", d, again)

	last := serve(t, w.MilterSocket(), d.history, config)
	w.delivered(w.bank("192.0.2.10", w.tls13()), mail("back on TLS"))
	w.received(hook, am, "opened closed", d, again, last)
	am.received(t, "firing", "resolved")

	w.delivered(w.bank("192.0.2.11", w.tls13()), mail("another host, in good order"))
	w.delivered(w.bank("192.0.2.11", plain()), mail("which is stripped"))
	w.received(hook, am, "opened closed opened", d, again, last)
	last.tlsratchet("peer", "unpin", "--why", "it has no TLS any more", "address:192.0.2.11")
	w.received(hook, am, "opened closed opened closed", d, again, last)
	w.has(string(hook.all()[3]), `"closed_by":"unpinned"`)
}

// tlsratchet runs a command on the daemon's history.
func (d *daemon) tlsratchet(command ...string) {
	d.t.Helper()
	at := append(command[:2:2], append([]string{"--history", d.history}, command[2:]...)...)
	if out, err := exec.Command(binary, at...).CombinedOutput(); err != nil {
		d.t.Fatalf("%v: %v: %s", at, err, out)
	}
}

const toldConfig = `
[policy]
pin_after_days = 1
[selfcheck]
address = "off"
[status]
listen = "off"
[alert]
log = "warning"
[[destination]]
kind = "webhook"
url = %q
[[destination]]
kind = "alertmanager"
url = %q
[[destination]]
kind = "mail"
to = ["postmaster@ours.example"]
server = %q
`

// received wants that everybody received so much, and no more.
func (w world) received(hook *receiver, am *alertmanager, want string, daemons ...*daemon) {
	w.Helper()
	n := len(strings.Fields(want))
	eventually(w.T, "the webhook receives "+want, func() bool { return hook.whats() == want })
	eventually(w.T, "as many mails", func() bool { return len(w.alertMails()) == n })
	eventually(w.T, "Alertmanager shows what is open", func() bool { return am.active(w.T) == n%2 })
	eventually(w.T, "as many lines in the log", func() bool {
		lines := 0
		for _, d := range daemons {
			lines += strings.Count(d.text(), "msg=alert")
		}
		return lines == n
	})
}

// alertMails are those that tlsratchet sent.
func (w world) alertMails() (subjects []string) {
	w.Helper()
	all, err := w.Inbox()
	if err != nil {
		w.Fatal(err)
	}
	for _, m := range all {
		if m.Header.Get("Auto-Submitted") != "" {
			subjects = append(subjects, m.Header.Get("Subject"))
		}
	}
	return subjects
}
